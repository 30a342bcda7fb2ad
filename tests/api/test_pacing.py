"""Long work lets other requests run, and what comes in is held in small pieces."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket

from api.output.formats import csv_rows
from api.server import Connection
from api.waiting import pacing
from tasks.vocabulary.items import ItemError, ItemResult

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


class _Finished:
    """Items that are there at once, as those of a job that is finished."""

    job: Any = None
    cut = False
    cursor = None

    def __iter__(self) -> Iterator[ItemResult]:
        for index in range(10_000):
            yield ItemResult(index, f"r{index}", 0, 1, ItemError.EMPTY_TEXT)

    def refresh(self) -> None:
        """Rows of CSV end without the state of the job, which this would read."""


def test_a_stream_whose_client_never_makes_it_wait_lets_others_run() -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        while True:
            gevent.sleep(0)
            looks += 1

    others = gevent.spawn(look)
    columns = {"id": lambda row: row.view["id"], "error": lambda row: row.view["error_message"]}
    rows = sum(block.count(b"\r\n") for block in csv_rows(_Finished(), None, None, columns))
    others.kill()
    assert rows == 10_001
    assert looks > 1
