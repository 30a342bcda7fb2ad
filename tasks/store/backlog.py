"""What waits in each queue and how fast it drains, as the store measures it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tasks.store.admission import admission_request
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import WEIGHTS, lines_key, parked_lines_key
from tasks.vocabulary.jobs import Queue


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of a queue: `items` wait or are leased, `left` have left it since it began.

    `deferred` items are no part of it until their time comes. `wait_s` until all are done and `items_per_s`
    are None while no rate is known. `accepting`: one more text of the owner who asks would be accepted now.
    `oldest_s`: how long the oldest chunk that nobody leased has waited. `paused` items are no part of it.
    """

    items: int
    deferred: int
    left: int
    wait_s: float | None
    items_per_s: float | None
    accepting: bool
    oldest_s: float
    paused: int = 0


@dataclass(frozen=True)
class Lines:
    """Owners in a queue: `items` that wait or are leased, and how many have `left` its line.

    `paused` are the items of owners that are paused there.
    """

    items: Mapping[str, int]
    left: Mapping[str, int]
    weights: Mapping[str, float]
    paused: Mapping[str, int]

    def share(self, owner: str) -> float:
        """Return the part of the queue that an owner gets while all go on that have something there."""
        own = self.weights.get(owner, 1.0)
        return own / (self._all_weights + (0 if owner in self.items else own))

    def others(self, owner: str) -> int:
        """Return the items of all other owners."""
        return self._all_items - self.items.get(owner, 0)

    def scored_until(self, own: int, owner: str) -> int:
        """Return how many items of all owners are scored until the given number of one owner is."""
        share = self.share(owner)
        return own + min(self.others(owner), math.floor(own * (1 - share) / share))

    @cached_property
    def _all_weights(self) -> float:
        return sum(self.weights.get(owner, 1.0) for owner in self.items)

    @cached_property
    def _all_items(self) -> int:
        return sum(self.items.values())


def read_lines(store: JobStore, queues: Sequence[Queue]) -> dict[Queue, Lines]:
    """Read the lines of all owners in these queues in one round trip."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        pipe.hgetall(WEIGHTS)
        for queue in queues:
            pipe.hgetall(lines_key(queue))
            pipe.hgetall(parked_lines_key(queue))
        weights, *lines = pipe.execute()
    weighed = {owner.decode(): float(weight) for owner, weight in weights.items()}
    return {
        queue: _lines(active, parked, weighed)
        for queue, active, parked in zip(queues, lines[::2], lines[1::2], strict=True)
    }


def _lines(
    active: Mapping[bytes, bytes], parked: Mapping[bytes, bytes], weights: Mapping[str, float]
) -> Lines:
    items, left = _by_name(active)
    paused, left_paused = _by_name(parked)
    return Lines(items, left | left_paused, weights, paused)


def _by_name(fields: Mapping[bytes, bytes]) -> tuple[dict[str, int], dict[str, int]]:
    """Return the items of each owner, and those that have left its line."""
    read: dict[str, dict[str, int]] = {"items": {}, "left": {}}
    for field, count in fields.items():
        name, _, owner = field.decode().partition(":")
        read[name][owner] = int(count)
    return read["items"], read["left"]


def read_backlogs(store: JobStore, models: Iterable[str], owner: str = "") -> dict[Queue, Backlog]:
    """Read the backlog of every queue of these models, as an owner sees it, in one round trip."""
    queues = [queue for model in models for queue in Queue.all_of(model)]
    asked = [
        {"queue": str(queue), "admission": admission_request(store.settings, queue, owner, ())}
        for queue in queues
    ]
    answer = store.run("read_backlog", {"queues": asked})
    return dict(zip(queues, map(_backlog, answer), strict=True))


def _backlog(fields: Sequence[Any]) -> Backlog:
    items, deferred, left, wait_s, items_per_s, accepting, oldest_ms, paused = fields
    return Backlog(
        items,
        deferred,
        left,
        _number(wait_s),
        _number(items_per_s),
        bool(accepting),
        oldest_ms / 1000,
        paused,
    )


def _number(raw: bytes) -> float | None:
    return float(raw) if raw else None
