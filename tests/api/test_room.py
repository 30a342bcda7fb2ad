"""Documents of one caller wait for each other, and give their room back on every way out."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import gevent.event
import pytest

from api.waiting.room import Incoming, Room

MOST = 100
LONG_S, SHORT_S = 30.0, 0.05


def reading(
    room: Room, blocks: int, until: gevent.event.Event, caller: str = "a"
) -> gevent.Greenlet[..., int | None]:
    """Hold blocks of 10 bytes of a document until an event; return its size, None if there was no room."""

    def read() -> int | None:
        with room.document(caller, MOST) as incoming:
            for _ in range(blocks):
                if incoming.add(10, LONG_S) is None:
                    return None
            until.wait()
            return incoming.size

    reader = gevent.spawn(read)
    gevent.sleep(0)
    return reader


def never() -> gevent.event.Event:
    return gevent.event.Event()


def test_all_documents_but_the_oldest_of_a_caller_are_held_to_the_size_of_one() -> None:
    room, end = Room(), never()
    readers = [reading(room, 10, end) for _ in range(5)]
    gevent.sleep(0.01)
    assert room.size == 2 * MOST
    end.set()
    gevent.joinall(readers, raise_error=True)
    assert [reader.value for reader in readers] == [MOST] * 5
    assert room.size == 0


def test_the_documents_of_another_caller_do_not_wait() -> None:
    room, end = Room(), never()
    held = [reading(room, 10, end) for _ in range(4)]
    other = reading(room, 10, end, caller="b")
    assert room.size == 3 * MOST
    end.set()
    gevent.joinall([*held, other], raise_error=True)
    assert other.value == MOST


def test_what_waits_too_long_is_told_so_and_takes_no_room() -> None:
    room, end = Room(), never()
    held = [reading(room, 10, end) for _ in range(2)]
    with room.document("a", MOST) as late:
        assert late.add(1, SHORT_S) is None
        assert late.size == 0
    end.set()
    gevent.joinall(held, raise_error=True)
    with room.document("a", MOST) as again:
        waited_s = again.add(1, SHORT_S)
        assert waited_s is not None


class ClientGoneError(Exception):
    """What ends a request whose client has gone."""


def cut_while_held(room: Room) -> None:
    holding = reading(room, 1, never())
    assert room.size == 10
    holding.kill(ClientGoneError)


def cut_while_waiting(room: Room) -> None:
    with room.document("a", MOST) as oldest, room.document("a", MOST) as second:
        assert [each.add(MOST, LONG_S) is None for each in (oldest, second)] == [False, False]
        waiting = reading(room, 1, never())
        third: Incoming
        with room.document("a", MOST) as third:
            waiting.kill(ClientGoneError)
            assert room.size == 2 * MOST
            assert third.size == 0


def cut_as_it_is_woken(room: Room) -> None:
    end = never()
    held, behind = [reading(room, 10, end) for _ in range(2)], never()
    woken, last = reading(room, 10, behind), reading(room, 10, behind)
    held[0].kill(ClientGoneError, block=False)
    held[1].kill(ClientGoneError, block=False)
    woken.kill(ClientGoneError, block=False)
    behind.set()
    assert last.get(timeout=LONG_S) == MOST


@pytest.mark.parametrize("cut", [cut_while_held, cut_while_waiting, cut_as_it_is_woken])
def test_a_document_that_is_cut_gives_its_room_back(cut: Callable[[Room], None]) -> None:
    room = Room()
    cut(room)
    assert room.size == 0
    with room.document("a", MOST) as one, room.document("a", MOST) as two:
        assert [each.add(MOST, SHORT_S) is None for each in (one, two)] == [False, False]
