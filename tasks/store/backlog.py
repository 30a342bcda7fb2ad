"""What waits in each queue and how fast it drains, as the store measures it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.store.admission import admission_request
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import Queue


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of a queue: `items` wait or are leased, `left` have left it since it began.

    `wait_s` until all are done and `items_per_s` are None while no rate is known. `accepting`: one more text
    would be accepted now. `oldest_s`: how long the oldest chunk that nobody leased has waited.
    """

    items: int
    left: int
    wait_s: float | None
    items_per_s: float | None
    accepting: bool
    oldest_s: float


def read_backlogs(store: JobStore, models: Iterable[str]) -> dict[Queue, Backlog]:
    """Read the backlog of every queue of these models in one round trip."""
    queues = [queue for model in models for queue in Queue.all_of(model)]
    asked = [
        {"queue": str(queue), "admission": admission_request(store.settings, queue, "", ())}
        for queue in queues
    ]
    answer = store.run("read_backlog", {"queues": asked})
    return dict(zip(queues, map(_backlog, answer), strict=True))


def _backlog(fields: Sequence[Any]) -> Backlog:
    items, left, wait_s, items_per_s, accepting, oldest_ms = fields
    return Backlog(items, left, _number(wait_s), _number(items_per_s), bool(accepting), oldest_ms / 1000)


def _number(raw: bytes) -> float | None:
    return float(raw) if raw else None
