"""The proxy breaks links in the ways that its methods name."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.attacks.proxy import Proxy, proxied

SILENT_S = 0.3


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while block := self.request.recv(100):
            self.request.sendall(block)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Give a proxy to a server that sends back what it gets."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        with proxied("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def echoes(connection: socket.socket, sent: bytes = b"hello") -> bool:
    """Return whether what is sent comes back; False where nothing comes."""
    connection.settimeout(10)
    connection.sendall(sent)
    connection.settimeout(SILENT_S)
    try:
        return connection.recv(100) == sent
    except TimeoutError:
        return False


def test_it_forwards_until_a_side_closes(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert echoes(connection)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""


def test_a_reset_ends_what_is_open(proxy: Proxy) -> None:
    with connect(proxy) as old, connect(proxy) as new:
        assert echoes(old)
        assert echoes(new)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with connect(proxy) as new:
        assert echoes(new)


def test_a_half_open_link_is_silent_for_ever_and_new_ones_live(proxy: Proxy) -> None:
    with connect(proxy) as old:
        assert echoes(old)
        proxy.half_open()
        proxy.mend()
        assert not echoes(old)
        with connect(proxy) as new:
            assert echoes(new)


def test_a_held_link_passes_everything_on_when_it_is_mended(proxy: Proxy) -> None:
    with connect(proxy) as old:
        assert echoes(old)
        proxy.blackhole()
        assert not echoes(old)
        with connect(proxy) as new:
            assert not echoes(new)
            proxy.mend()
            assert new.recv(100) == b"hello"
        assert old.recv(100) == b"hello"


def test_a_refused_link_is_reset_until_it_is_mended(proxy: Proxy) -> None:
    proxy.refuse()
    # The reset may come before the call that connects has returned.
    with pytest.raises(ConnectionResetError), connect(proxy) as connection:
        connection.recv(1)
    proxy.mend()
    with connect(proxy) as connection:
        assert echoes(connection)


def test_the_answer_to_a_marked_request_gets_lost_once(proxy: Proxy) -> None:
    proxy.lose_answers({"greeting": b"ell", "other": b"never sent"})
    with connect(proxy) as connection:
        assert echoes(connection, b"good day")
        with pytest.raises(ConnectionResetError):
            echoes(connection)
    with connect(proxy) as connection:
        assert echoes(connection)
    assert proxy.lost == ["greeting"]


def test_an_error_is_no_answer_that_gets_lost(proxy: Proxy) -> None:
    proxy.lose_answers({"greeting": b"hello"})
    with connect(proxy) as connection:
        assert echoes(connection, b"-hello")
        assert proxy.lost == []
        with pytest.raises(ConnectionResetError):
            echoes(connection)


@pytest.mark.parametrize("kind", ["slow", "trickle"])
def test_a_slow_link_passes_everything_on_in_order(proxy: Proxy, kind: str) -> None:
    getattr(proxy, kind)()
    sent = bytes(range(256)) * 8
    with connect(proxy) as connection:
        connection.settimeout(10)
        connection.sendall(sent)
        received = b""
        while len(received) < len(sent):
            received += connection.recv(100)
        assert received == sent
        proxy.mend()
        assert echoes(connection)
