"""What a parent knows of its children: who is ready, why others were replaced, what each finished."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from worker.process.children import Children
from worker.process.fork_state import Ending, ReadyChildren


def test_a_child_that_takes_the_place_of_another_counts_why_that_ended() -> None:
    ready = ReadyChildren(2)
    for slot in (0, 1, 0, 0, 1):
        ready.begin(slot)
        if slot == 0:
            ready.add(slot)
            ready.remove(slot, Ending.SICK)
    assert ready.endings == {"killed": 1, "sick": 2, "not_loaded": 0}
    assert ready.restarts == 3
    ready.remove(1, Ending.NOT_LOADED)
    assert ready.restarts == 3, "no other has taken its place"
    ready.begin(1)
    assert ready.endings == {"killed": 1, "sick": 2, "not_loaded": 1}


def test_a_child_starts_is_ready_and_counts_items_of_its_own() -> None:
    ready, pid = ReadyChildren(1), os.getpid()
    assert ready.of(pid) == (False, None, 0)
    ready.begin(0)
    assert ready.of(pid)[0] is False
    ready.add(0)
    ready.finished(0, 30)
    ready.finished(0, 10)
    found, began, items = ready.of(pid)
    assert (found, items, began is not None) == (True, 40, True)
    ready.begin(0)
    assert ready.of(pid)[2] == 0, "another in the same slot begins anew"


def test_the_rate_is_that_of_the_last_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("worker.process.children.time.monotonic", lambda: now[0])
    ready, pid = ReadyChildren(1), os.getpid()
    children = Children(ready)
    ready.begin(0)
    rates = []
    for second in range(200):
        now[0] = 1000.0 + second
        ready.finished(0, 10 if 0 < second <= 100 else 0)
        rates.append(children.look([pid]).children[0].items_per_s)
    assert (rates[0], rates[30]) == (0.0, 10.0)
    assert rates[90] == pytest.approx(10, rel=0.05)
    assert rates[130] == pytest.approx(5, rel=0.05)
    assert rates[-1] == 0.0


def test_a_child_that_is_gone_has_no_memory_and_is_forgotten() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    children = Children(ReadyChildren(1))
    (gone,) = children.look([done.pid]).children
    assert (gone.memory_bytes, gone.ready, gone.items_per_s) == (None, False, 0.0)
    found = children.look([os.getpid()])
    assert [child.pid for child in found.children] == [os.getpid()]
    assert (found.memory_bytes or 0) > 2**20
