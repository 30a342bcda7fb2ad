"""Long work lets other requests run, and what comes in is held in small pieces."""

from __future__ import annotations

import socket
import time
from typing import Any

import gevent
import gevent.socket

from api.server import Connection
from api.waiting import pacing

_MOST_LOOKS = 100_000
_MIB = 2**20


def test_what_arrives_is_served_while_others_work_without_a_pause() -> None:
    clock, served = pacing.LoopClock(), list[bytes]()
    here, there = gevent.socket.socketpair()

    def serve() -> None:
        while block := there.recv(16):
            served.append(block)
            there.sendall(block)

    def ask() -> None:
        for number in range(5):
            here.sendall(b"%d" % number)
            here.recv(16)

    def work() -> int:
        looks = 0
        while not asking.ready() and looks < _MOST_LOOKS:
            sum(range(10_000))
            clock.let_others_run()
            looks += 1
        return looks

    with here, there:
        serving, asking = gevent.spawn(serve), gevent.spawn(ask)
        workers: list[Any] = [gevent.spawn(work) for _ in range(3)]
        gevent.joinall(workers, raise_error=True)
        assert served == [b"0", b"1", b"2", b"3", b"4"]
        assert all(0 < worker.value < _MOST_LOOKS for worker in workers)
        gevent.killall([serving, asking])


def test_others_are_looked_for_each_time() -> None:
    def work() -> None:
        clock = pacing.LoopClock()
        clock.let_others_run()
        for _ in range(10):
            before = clock._looked_at
            while time.monotonic() - before <= pacing.SLICE_S:
                pass
            clock.let_others_run()
            assert clock._looked_at > before

    gevent.joinall([gevent.spawn(work)], raise_error=True)


def test_a_large_body_is_received_in_small_pieces() -> None:
    client, server = socket.socketpair()
    with client, server:
        client.sendall(b"x" * 64 * 1024)
        connection = Connection(server, keep_alive_s=5)
        assert 0 < len(connection.recv(_MIB)) <= 16 * 1024
