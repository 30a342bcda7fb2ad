"""A TCP proxy that breaks connections, or answers in place of the service."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_BLOCK = 4096


@dataclass(frozen=True)
class Plan:
    """What happens to one connection: it is cut after that many bytes up or down, or gets an answer."""

    cut_up: int | None = None
    cut_down: int | None = None
    answer: bytes | None = None


def response(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole response, after which the connection ends."""
    fields = {"content-length": str(len(body)), "connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Proxy:
    """Stands before a service. The first connections go as planned, the others undisturbed."""

    def __init__(self, target: str, *plans: Plan) -> None:
        place = urlsplit(target)
        self._target = (place.hostname or "", place.port or 0)
        self._plans = list(plans)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received: list[bytearray] = []  # of each connection, what the client sent
        self._open: list[socket.socket] = []
        self.sent: list[bytearray] = []  # and what it got

    def plan(self, *plans: Plan) -> None:
        """Let the next connections go as planned."""
        self._plans += plans

    def interrupt(self, *plans: Plan) -> None:
        """End the connections, and let the next ones go as planned."""
        self.plan(*plans)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._open.append(connection)
                plan = self._plans.pop(0) if self._plans else Plan()
                self.received.append(bytearray())
                self.sent.append(bytearray())
                record = (self.received[-1], self.sent[-1])
                threading.Thread(target=self._handle, args=(connection, plan, *record), daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _handle(self, client: socket.socket, plan: Plan, up: bytearray, down: bytearray) -> None:
        with client:
            if plan.answer is not None:
                self._answer(client, plan.answer, up)
                return
            with socket.create_connection(self._target) as service:
                other = threading.Thread(target=_pass_on, args=(service, client, plan.cut_down, down))
                other.start()
                _pass_on(client, service, plan.cut_up, up)
                other.join()

    def _answer(self, client: socket.socket, answer: bytes, up: bytearray) -> None:
        while b"\r\n\r\n" not in up and (block := client.recv(_BLOCK)):
            up += block
        client.sendall(answer)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while block := client.recv(_BLOCK):
                up += block


def _pass_on(source: socket.socket, sink: socket.socket, limit: int | None, record: bytearray) -> None:
    """Copy until the end or the limit, then end both connections."""
    with contextlib.suppress(OSError):
        while limit is None or len(record) < limit:
            block = source.recv(_BLOCK if limit is None else min(_BLOCK, limit - len(record)))
            if not block:
                break
            record += block
            sink.sendall(block)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(target: str, *plans: Plan) -> Iterator[Proxy]:
    """Run a proxy while the context lasts."""
    proxy = Proxy(target, *plans)
    threading.Thread(target=proxy.serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.close()
