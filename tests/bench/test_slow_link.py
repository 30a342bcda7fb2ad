"""The link with a delay: bytes arrive whole, in order and late; closed ends are passed on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from bench.load.slow_link import slow_link


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends back what it gets, and closes when its caller does."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while block := connection.recv(65_536):
                    connection.sendall(block)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_an_answer_takes_both_delays(echo: int) -> None:
    with slow_link(echo, 0.05) as port, socket.create_connection(("127.0.0.1", port)) as caller:
        start = time.monotonic()
        caller.sendall(b"ping")
        assert caller.recv(4) == b"ping"
        assert time.monotonic() - start >= 0.1


def test_bytes_arrive_whole_and_in_order(echo: int) -> None:
    sent = bytes(range(256)) * 4096
    with slow_link(echo, 0.01) as port, socket.create_connection(("127.0.0.1", port)) as caller:
        threading.Thread(target=caller.sendall, args=(sent,)).start()
        got = b""
        while len(got) < len(sent):
            got += caller.recv(65_536)
    assert got == sent


def test_an_end_that_closes_closes_the_other(echo: int) -> None:
    with slow_link(echo, 0.01) as port, socket.create_connection(("127.0.0.1", port)) as caller:
        caller.settimeout(10)
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(1) == b""


def test_where_nothing_listens_the_caller_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = gone.getsockname()[1]
    with slow_link(nobody, 0.01) as port, socket.create_connection(("127.0.0.1", port)) as caller:
        caller.settimeout(10)
        assert caller.recv(1) == b""
