"""A real receiver of webhooks, which answers with the status codes that a test sets."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers with the statuses in turn, then always with the last. For 0 it sends headers without end."""

    def __init__(self, statuses: Sequence[int] = (204,), location: str = "", host: str = "127.0.0.1") -> None:
        self.host = host
        self.statuses = list(statuses)
        self.location = location
        self.received: list[Received] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/hook?token=1"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["content-length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(headers, body, time.monotonic()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            self._stall(request)
            return
        request.send_response(status)
        if self.location:
            request.send_header("location", self.location)
        request.send_header("content-length", "0")
        request.end_headers()

    @staticmethod
    def _stall(request: BaseHTTPRequestHandler) -> None:
        """Send a header every 50 ms, so that no single read of the client times out."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        try:
            while True:
                request.wfile.write(b"x-more: 1\r\n")
                time.sleep(0.05)
        except OSError:
            request.close_connection = True


@contextmanager
def receiving(receiver: Receiver, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            receiver.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            pass

    server = ThreadingHTTPServer((receiver.host, 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
