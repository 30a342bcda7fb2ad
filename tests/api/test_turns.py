"""Turns: few requests of one caller work at a time, and none of another caller waits for them."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import gevent.event
import pytest

from api.waiting.turns import AT_ONCE, Turns


class Requests:
    """Requests that each note when they work, and go on when `release` is called."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.working: list[str] = []
        self._greenlets: list[gevent.Greenlet] = []
        self._release = gevent.event.Event()

    def begin(self, caller: str, count: int = 1) -> list[gevent.Greenlet]:
        begun = [gevent.spawn(self._serve, f"{caller}{number}", caller) for number in range(count)]
        self._greenlets += begun
        gevent.sleep()
        gevent.sleep()
        return begun

    def release(self) -> None:
        self._release.set()
        gevent.joinall(self._greenlets, timeout=5, raise_error=True)

    def _serve(self, name: str, caller: str) -> None:
        self.turns.take(caller)
        self.working.append(name)
        self._release.wait()
        self.turns.end()


@pytest.fixture
def requests() -> Iterator[Requests]:
    requests = Requests()
    yield requests
    requests.release()


def test_the_requests_of_one_caller_work_in_the_order_in_which_they_came(requests: Requests) -> None:
    requests.begin("a", AT_ONCE + 3)
    assert requests.working == [f"a{number}" for number in range(AT_ONCE)]
    requests.begin("b")
    assert requests.working[-1] == "b0", "another caller waits for none of them"
    requests.release()
    assert requests.working[-3:] == [f"a{number}" for number in range(AT_ONCE, AT_ONCE + 3)]
    assert requests.turns._queues == {}


def test_another_works_while_one_waits_for_its_client(requests: Requests) -> None:
    answered = gevent.event.Event()

    def serve_a_slow_client() -> None:
        requests.turns.take("a")
        with requests.turns.paused():
            answered.wait()
        requests.working.append("slow")
        requests.turns.end()

    slow = [gevent.spawn(serve_a_slow_client) for _ in range(AT_ONCE)]
    requests.begin("a", AT_ONCE)
    assert len(requests.working) == AT_ONCE
    answered.set()
    gevent.sleep(0.01)
    assert "slow" not in requests.working, "it waits for a turn again"
    requests.release()
    gevent.joinall(slow, timeout=5, raise_error=True)
    assert requests.turns._queues == {}


@pytest.mark.parametrize("when", ["while it waits", "when it has just got its turn"])
def test_a_request_that_is_ended_leaves_its_turn_to_others(requests: Requests, when: str) -> None:
    first = requests.begin("a", AT_ONCE)
    ended = requests.begin("a")[0]
    last = requests.begin("a")[0]
    if when == "while it waits":
        ended.kill()
        first[0].kill()
        requests.turns._queues["a"].hand_over()
    else:
        first[0].kill()
        requests.turns._queues["a"].hand_over()
        ended.kill()
    gevent.sleep(0.01)
    assert len(requests.working) == AT_ONCE + 1
    assert not last.ready()


def test_without_redis_none_waits_for_a_turn(requests: Requests) -> None:
    requests.begin("a", AT_ONCE + 3)
    requests.turns.let_all_go_on()
    gevent.sleep(0.01)
    assert len(requests.working) == AT_ONCE + 3
    requests.release()
    assert requests.turns._queues == {}


def test_a_key_takes_the_place_of_the_address() -> None:
    turns = Turns()
    assert turns.take("address") is None
    assert turns.take("key") == "address"
    assert list(turns._queues) == ["key"]
    assert turns.end() == "key"
    assert turns.end() is None
