"""The two loops, with a real server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.load.callers import closed_loop, open_loop, post
from bench.program import BenchError


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.now = self.most = 0
        self.bodies: list[bytes] = []
        self.delay_s = 0.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        time.sleep(self.server.delay_s)
        with self.server.lock:
            self.server.now -= 1
        getattr(self, f"answer_{self.path.strip('/')}")()

    def answer_plain(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def answer_chunked(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    def answer_closing(self) -> None:
        """Close a connection after its answer, without a word about it."""
        self.answer_plain()
        self.close_connection = True

    def answer_later(self) -> None:
        """Refuse every other request for a second."""
        if len(self.server.bodies) % 2 == 0:
            self.answer_plain()
            return
        self.send_response(503)
        self.send_header("retry-after", "1")
        self.send_header("content-length", "0")
        self.end_headers()

    def answer_full(self) -> None:
        self.send_response(503)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"full")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def requests(path: str, count: int) -> list[bytes]:
    return [post(path, {"text": f"好{number}"}) for number in range(count)]


@pytest.mark.parametrize("path", ["/plain", "/chunked", "/closing"])
def test_every_request_is_sent_once_and_answered(server: Server, path: str) -> None:
    load = asyncio.run(closed_loop(server.server_port, requests(path, 20), callers=4))
    assert len(load.latencies_s) == 20
    assert sorted(server.bodies) == sorted(f'{{"text": "好{number}"}}'.encode() for number in range(20))


def test_a_closed_loop_has_so_many_callers_at_a_time(server: Server) -> None:
    server.delay_s = 0.02
    asyncio.run(closed_loop(server.server_port, requests("/plain", 24), callers=6))
    assert server.most == 6


def test_an_open_loop_does_not_wait_for_answers(server: Server) -> None:
    server.delay_s = 0.3
    load = asyncio.run(open_loop(server.server_port, requests("/plain", 10), [0.001 * n for n in range(10)]))
    assert server.most == 10
    assert min(load.latencies_s) >= 0.3


def test_a_latency_begins_when_the_request_was_due(server: Server) -> None:
    # All are due at once a second before the start: the client is late, which must not be hidden.
    load = asyncio.run(open_loop(server.server_port, requests("/plain", 3), [-1.0] * 3))
    assert min(load.latencies_s) >= 1


def test_a_refusal_is_obeyed_and_counted_and_its_wait_is_part_of_the_latency(server: Server) -> None:
    load = asyncio.run(closed_loop(server.server_port, requests("/later", 2), callers=1))
    assert load.refusals == 2
    assert min(load.latencies_s) >= 1


def test_an_answer_that_is_no_success_ends_the_load(server: Server) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(closed_loop(server.server_port, requests("/full", 2), callers=1))
    assert caught.group_contains(BenchError, match="503 .*: full")
