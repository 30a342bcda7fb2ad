"""What waits in each class and how fast it drains, as the store measures it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.store.admission import admission_request
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import QueueClass


@dataclass(frozen=True, slots=True)
class Backlog:
    """The backlog of a class: `items` wait or are leased, `left` have left it since it began.

    `wait_s` until all are done and `items_per_s` are None while no rate is known. `accepting`: one more text
    would be accepted now. `oldest_s`: how long the oldest chunk that nobody leased has waited.
    """

    items: int
    left: int
    wait_s: float | None
    items_per_s: float | None
    accepting: bool
    oldest_s: float


def read_backlogs(store: JobStore) -> dict[QueueClass, Backlog]:
    """Read the backlog of every class in one round trip."""
    classes = [
        {"class": queue_class, "admission": admission_request(store.settings, queue_class, "", ())}
        for queue_class in QueueClass
    ]
    answer = store.run("read_backlog", {"classes": classes})
    return dict(zip(QueueClass, map(_backlog, answer), strict=True))


def _backlog(fields: Sequence[Any]) -> Backlog:
    items, left, wait_s, items_per_s, accepting, oldest_ms = fields
    return Backlog(items, left, _number(wait_s), _number(items_per_s), bool(accepting), oldest_ms / 1000)


def _number(raw: bytes) -> float | None:
    return float(raw) if raw else None
