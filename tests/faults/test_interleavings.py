"""Every order of the steps of children and a reconciler, with deaths, ends of leases and losses anywhere.

The scripts and their Redis are the real ones; a key of it is the clock. `-m long` explores
all states of `WHOLE`, and the first ones of `LARGE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from local.redis_server import redis_server
from tasks.store import scripts
from tasks.store.lost_wakeups import LostWakeups
from tasks.store.reconciler import Reconciler
from tests.faults.actors import Actors, set_clock
from tests.faults.interleaving import Explorer
from tests.faults.invariants import BrokenError
from tests.faults.planted.defects import DEFECTS, Patch, all_of, nothing, script
from tests.faults.states import Faults

Plant = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Space:
    """Chunks of so many items, so many children, and the faults that may come anywhere."""

    sizes: tuple[int, ...]
    children: int
    faults: Faults


SHORT = {
    "nothing breaks": Space((1,), 1, Faults()),
    "a child dies": Space((1,), 2, Faults(crashes=1)),
    "a lease ends": Space((1,), 2, Faults(passes=1)),
    "a wake-up is lost": Space((1,), 2, Faults(losses=1)),
    "an answer is lost": Space((1,), 2, Faults(repeats=1)),
    "a child is sick": Space((1,), 2, Faults(returns=1)),
}
MOST_OF_SHORT = 400
WHOLE = {
    "three children, one dies": Space((1,), 3, Faults(crashes=1)),
    "three children, leases end": Space((1,), 3, Faults(passes=1)),
    "three children, wake-ups are lost": Space((1,), 3, Faults(losses=1)),
    "three children, an answer is lost": Space((1,), 3, Faults(repeats=1)),
    "three children, one is sick": Space((1,), 3, Faults(returns=1)),
}
LARGE = {
    "a death, an end and a loss": Space((1,), 3, Faults(crashes=1, passes=1, losses=1)),
    "two chunks, and a death": Space((1, 1), 3, Faults(crashes=1)),
    "a chunk that is split": Space((2,), 3, Faults(crashes=1, passes=1)),
    "two deaths, an end and a repeated call": Space((1,), 2, Faults(crashes=2, passes=1, repeats=1)),
}
MOST_OF_LARGE = int(os.environ.get("STATES", "20000"))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as url:
        yield url


def explorer(url: str, space: Space) -> Explorer:
    actors = Actors(redis.Redis.from_url(url), url)
    return Explorer(actors, actors.begin(list(space.sizes)))


@pytest.mark.parametrize("name", SHORT)
def test_every_order_of_a_few_steps_keeps_what_was_accepted(url: str, name: str) -> None:
    space = SHORT[name]
    with set_clock():
        found = explorer(url, space)
        found.explore(space.children, space.faults, most=MOST_OF_SHORT)
    print(f"{name}: {found.states} states, {found.steps} steps, {found.ends} ends")
    assert found.ends


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", [*WHOLE, *LARGE])
def test_every_order_of_all_steps_keeps_what_was_accepted(url: str, name: str) -> None:
    space = (WHOLE | LARGE)[name]
    with set_clock():
        found = explorer(url, space)
        whole = found.explore(space.children, space.faults, most=None if name in WHOLE else MOST_OF_LARGE)
    part = "all of" if whole else "the first"
    print(f"{name}: {part} {found.states} states, {found.steps} steps, {found.ends} ends")
    assert whole or name in LARGE


def in_script(*patches: Patch) -> Plant:
    """Change scripts; `set_clock` changes them back."""
    return lambda _: all_of(*patches)(scripts)


def replaced(owner: type, name: str, by: Callable[..., object]) -> Plant:
    return lambda patch: patch.setattr(owner, name, by)


def given_up_early(self: Any, queue: Any, ref: Any, chunk: Any, guard: Any, _: int) -> None:
    self._give_up(queue, ref, chunk, guard)


# What is wrong, a small space that shows it, and what is said then.
SEEN: dict[str, tuple[Plant, Space, str]] = {
    "no_fence": (in_script(DEFECTS["no_fence"].patch), Space((1,), 2, Faults(passes=1)), "the old token"),
    "requeued_while_held": (
        in_script(script("requeue_chunk", "tonumber(lease_until) > now", "false")),
        Space((1,), 1, Faults(passes=1)),
        "had not ended",
    ),
    "counted_twice": (in_script(DEFECTS["counted_twice"].patch), Space((1,), 1, Faults()), "in the counters"),
    "forgotten_lease": (
        replaced(Reconciler, "_release", nothing),
        Space((1,), 1, Faults(crashes=1)),
        "waits for ever",
    ),
    "lost_wakeup": (
        replaced(LostWakeups, "republish", nothing),
        Space((1,), 1, Faults(losses=1)),
        "waits for ever",
    ),
    "given_up_early": (
        replaced(Reconciler, "_requeue", given_up_early),
        Space((1,), 1, Faults(crashes=1)),
        "given up after 1 attempts",
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_a_planted_defect_is_seen(url: str, name: str) -> None:
    plant, space, said = SEEN[name]
    with set_clock() as patch:
        plant(patch)
        found = explorer(url, space)
        with pytest.raises(BrokenError, match=said) as error:
            found.explore(space.children, space.faults)
    print(f"{name}: {error.value}")
