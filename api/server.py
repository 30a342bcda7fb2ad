"""The gunicorn worker of the API: gevent's, with limits on connections and on the time that each may take."""

from __future__ import annotations

import errno
import json
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any

from gevent import Greenlet, getcurrent
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.ggevent import GeventWorker

from api.http.common_headers import CACHING, DATA_POLICY, SECURITY
from api.waiting.pacing import let_others_run
from api.waiting.turns import turns
from tasks.settings import Settings

# Room for 16 pairs of metadata at their documented length, percent-encoded.
MAX_REQUEST_LINE_BYTES = 128 * 1024
HEAD_TIMEOUT_S = 10.0
# A block of a response has to be read in this time, and large ones at this rate.
SEND_TIMEOUT_S = 30.0
_MIN_BYTES_PER_S = 4096
# What is left of a body after the response is read and dropped for so long; then the connection is closed.
_DISCARD_TIMEOUT_S = 5.0
_DISCARD_BYTES = 64 * 1024
_LINGER_S = 2.0
# The share of connections serving no request that one address may have. Behind a proxy all share one address.
_ADDRESS_SHARE = 0.125
# When fewer connections are free, one that serves no request is closed for each new one.
_SPARE_CONNECTIONS = 16
# Connections accepted before the loop looks at others. gunicorn's 1 leaves new callers in a queue of the
# kernel while requests keep the loop busy; with many, one process could get all while another is idle.
_ACCEPTED_AT_ONCE = 8
# Received at once. gunicorn asks for up to a mebibyte of a body, holds it, and copies all of it at each read.
_RECEIVED_BYTES = 16 * 1024
# A larger body goes behind its head: in one with it, it would be held twice until the client has read it.
_JOINED_BYTES = 64 * 1024
# A head with this field, and nothing behind it. Without the field it is of a stream, or no body follows.
_BODY_FOLLOWS = re.compile(rb"\r\nContent-Length: [1-9].*\r\n\r\n\Z", re.DOTALL)

_REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    LimitRequestLine: (
        414,
        "uri_too_long",
        f"The request line has more than {MAX_REQUEST_LINE_BYTES} bytes.",
    ),
    LimitRequestHeaders: (431, "headers_too_large", "The headers are too many or too long."),
    ExpectationFailed: (417, "expectation_failed", "Only `Expect: 100-continue` is supported."),
    UnsupportedTransferCoding: (
        501,
        "unsupported_encoding",
        "The only transfer coding supported is chunked.",
    ),
    ParseException: (400, "bad_request", "The request is not valid HTTP."),
    Exception: (500, "internal_error", "Something went wrong inside the service."),
}


class Connection:
    """A client's socket. Requests have to arrive, and responses to be read, in bounded time."""

    def __init__(self, client: Any, keep_alive_s: float, server: Greenlet | None = None) -> None:
        self._client = client
        self._keep_alive_s = keep_alive_s
        self._server = server
        self._hung_up = False
        self._may_hold, self._held = False, b""
        self.await_request()

    def __getattr__(self, name: str) -> Any:
        """Return what this class does not change."""
        return getattr(self._client, name)

    def await_request(self) -> None:
        """Wait for the next request as long as a connection is kept alive."""
        self._in_head = self._in_first_line = True
        self._has_begun = False
        self._line_bytes = 0
        self.allow(self._keep_alive_s)

    def begin_body(self) -> None:
        """The head has arrived; what comes now is the body. Raises ConnectionResetError after `hang_up`."""
        if self._hung_up:
            raise _closed()
        self._in_head = False
        self._may_hold = True
        self.allow(HEAD_TIMEOUT_S)

    def allow(self, total_s: float, pause_s: float | None = None) -> None:
        """Let what comes now arrive within `total_s`, and without a pause of more than `pause_s`."""
        self._deadline = time.monotonic() + total_s
        self._pause_s = pause_s or total_s

    def prolong(self, seconds: float) -> None:
        """Let what comes now arrive that much later: the service did not read it meanwhile."""
        self._deadline += seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive up to 16 KiB; b"" also when a head does not arrive in time. Raises OSError for a body."""
        let_others_run()
        try:
            block = self._receive(size, flags)
        except OSError:  # late, or reset, or ended by `hang_up`
            if self._in_head:
                return b""
            raise
        if self._in_head and block:
            self._note_head(block)
        return block

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all bytes; the head of a response together with its body, since each call of the kernel costs.

        Raises BrokenPipeError when the client reads too slowly.
        """
        if self._may_hold and _BODY_FOLLOWS.search(data):
            self._may_hold, self._held = False, data
            return
        self._may_hold, held, self._held = False, self._held, b""
        with self._sending(len(held) + len(data)):
            if held and len(data) > _JOINED_BYTES:
                self._client.sendall(held, flags)
                held = b""
            self._client.sendall(held + data if held else data, flags)

    def flush(self) -> None:
        """Send a head that no body followed, as of a HEAD request."""
        if self._held:
            self.sendall(b"")

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> None:
        """Send a file. Raises BrokenPipeError when the client reads too slowly."""
        self.flush()
        with self._sending(count or 0):
            self._client.sendfile(file, offset, count)

    def let_client_read(self) -> None:
        """Take what still comes for a moment: closing at once would take the response from the client."""
        self.allow(_LINGER_S)
        try:
            self._client.shutdown(socket.SHUT_WR)
            while self._receive(_DISCARD_BYTES, 0):
                let_others_run()
        except OSError:
            return  # that was long enough

    def hang_up(self) -> None:
        """End the connection as if the client had, also while it waits for a turn."""
        with suppress(OSError):  # it ended by itself
            self._client.shutdown(socket.SHUT_RDWR)
        self._hung_up = True
        if self._server:
            self._server.kill(_closed(), block=False)

    @contextmanager
    def _sending(self, size: int) -> Iterator[None]:
        self._client.settimeout(SEND_TIMEOUT_S + size / _MIN_BYTES_PER_S)
        try:
            with turns.paused():
                yield
        except TimeoutError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read the response") from None

    def _receive(self, size: int, flags: int) -> bytes:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("it took too long to arrive")
        self._client.settimeout(min(left_s, self._pause_s))
        with turns.paused():
            block: bytes = self._client.recv(min(size, _RECEIVED_BYTES), flags)
        return block

    def _note_head(self, block: bytes) -> None:
        """Bound the time of the head from its first byte, and the length of its first line."""
        if not self._has_begun:
            self._has_begun = True
            self.allow(HEAD_TIMEOUT_S)
        if self._in_first_line:
            end = block.find(b"\n")
            self._in_first_line = end < 0
            self._line_bytes += len(block) if end < 0 else end
            if self._line_bytes > MAX_REQUEST_LINE_BYTES:
                raise LimitRequestLine(self._line_bytes, MAX_REQUEST_LINE_BYTES)


class Connections:
    """The open connections of a process. Where they become few, those that serve no request are closed."""

    def __init__(self, most: int, most_of_address: int) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._open: dict[Connection, str] = {}
        # Those that serve no request, of all addresses and of each: the one unused for longest is the first.
        self._unused: dict[Connection, None] = {}
        self._unused_of: dict[str, dict[Connection, None]] = {}

    def add(self, connection: Connection, address: str) -> None:
        """Count a connection; if too many serve no request, close the oldest other one of these."""
        if len(self._unused_of.get(address, ())) >= self._most_of_address:
            self._hang_up(next(iter(self._unused_of[address])))
        elif len(self._open) >= self._most - _SPARE_CONNECTIONS:
            self.close_unused(1)
        self._open[connection] = address
        self.note_end(connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self.note_request(connection)
        del self._open[connection]

    def note_request(self, connection: Connection) -> None:
        """Note that a connection serves a request from now on."""
        self._unused.pop(connection, None)
        address = self._open[connection]
        unused = self._unused_of.get(address, {})
        unused.pop(connection, None)
        if not unused:
            self._unused_of.pop(address, None)

    def note_end(self, connection: Connection) -> None:
        """Note that a connection has served its request: it is behind those that are unused for longer."""
        self.note_request(connection)
        self._unused[connection] = None
        self._unused_of.setdefault(self._open[connection], {})[connection] = None

    def close_unused(self, most: int) -> None:
        """Close connections that serve no request, the oldest first."""
        for connection in list(islice(self._unused, most)):
            self._hang_up(connection)

    def _hang_up(self, connection: Connection) -> None:
        # Its greenlet ends later; until then it must not be closed in place of another one.
        self.note_request(connection)
        connection.hang_up()


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves each connection in a greenlet."""

    def init_process(self) -> None:
        """Read the settings, then serve."""
        settings = Settings.read()
        most = self.worker_connections
        self._keep_alive_s = settings.keep_alive_s
        self.server_class = self._listening
        self._connections = Connections(most, most if settings.proxies else int(most * _ADDRESS_SHARE))
        super().init_process()

    def _listening(self, listener: Any, *, spawn: Pool, **_: object) -> StreamServer:
        """Return the server of a socket; gunicorn calls this as if it were a class for WSGI."""
        server = StreamServer(listener, handle=partial(self.handle, listener), spawn=spawn)
        server.max_accept = _ACCEPTED_AT_ONCE
        return server

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """Return no limit of gunicorn's: `Connection` has its own."""
        return nullcontext()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection until it is closed."""
        keep_alive_s = self._keep_alive_s if self.alive else _LINGER_S
        connection = Connection(client, keep_alive_s, getcurrent())
        self._connections.add(connection, addr[0])
        try:
            turns.take(addr[0])
            super().handle(listener, connection, addr)
        except ConnectionResetError:
            connection.close()
        finally:
            turns.end()
            self._connections.remove(connection)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve a request, then wait for the next one of the connection, or close it if the process stops."""
        self._connections.note_request(sock)
        sock.begin_body()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()
        self._connections.note_end(sock)
        _discard(req.body, sock)
        if not self.alive:
            raise StopIteration
        sock.await_request()
        self._connections.note_end(sock)

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: BaseException) -> None:
        """Answer a request that never reached the app with a problem document."""
        status, code, detail = next(
            (refusal for kind, refusal in _REFUSALS.items() if isinstance(exc, kind)), _REFUSALS[Exception]
        )
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("cannot handle a request", exc_info=exc)
        else:
            self.log.warning("refused a request: %d %s (%r)", status, code, str(exc))
        _send_problem(client, status, code, detail)
        client.let_client_read()

    def close_unused_connections(self) -> None:
        """Close the connections that serve no request: the process is about to stop."""
        self._connections.close_unused(self.worker_connections)


def _closed() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "closed to make room")


def _discard(body: Any, connection: Connection) -> None:
    """Drop the rest of a body. Raises StopIteration, which closes the connection, when it does not come."""
    connection.allow(_DISCARD_TIMEOUT_S)
    try:
        while not body.failed and body.read(_DISCARD_BYTES):
            pass
    except (OSError, ParseException):
        pass  # it has failed now
    if body.failed:
        connection.let_client_read()
        raise StopIteration


def _send_problem(connection: Any, status: int, code: str, detail: str) -> None:
    phrase, request_id = HTTPStatus(status).phrase, uuid.uuid4().hex
    problem = {
        "type": f"urn:sentiq:problem:{code}",
        "title": phrase,
        "status": status,
        "detail": detail,
        "instance": "",
        "code": code,
        "request_id": request_id,
    }
    body = json.dumps(problem).encode()
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        "Content-Security-Policy": DATA_POLICY,
        "Cache-Control": CACHING,
        **SECURITY,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        connection.sendall(f"HTTP/1.1 {status} {phrase}\r\n{head}\r\n".encode() + body)
    except OSError:
        return  # the client has gone
