"""What waits in each class, and how fast it drains: measured by the job store, read here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import from_json

from tasks.store.admission import admission_request
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import PREFIX, WORKERS
from tasks.vocabulary.jobs import QueueClass

_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Backlog:
    """`items` wait or are leased, `left` were and are not any more.

    `wait_s` until all are done and `items_per_s` are None as long as no rate is known; `accepting` is whether
    one more text would be accepted now, `oldest_s` how long the oldest that nobody leased has waited.
    """

    items: int
    left: int
    wait_s: float | None
    items_per_s: float | None
    accepting: bool
    oldest_s: float


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The children of one worker; `ready` of them hold a model that has scored."""

    children: int
    ready: int


def read_backlogs(store: JobStore) -> dict[QueueClass, Backlog]:
    """Read all queues in one round trip."""
    args: list[str | bytes] = [PREFIX]
    for queue_class in QueueClass:
        args += [queue_class, admission_request(store.settings, queue_class, "", ())]
    told = store.run("read_backlog", [], args)
    return dict(zip(QueueClass, _queues(told), strict=True))


def live_workers(store: JobStore) -> list[WorkerStatus]:
    """Return the children of each worker that reported lately."""
    with store_errors():
        reports = [from_json(raw) for raw in store.redis.hvals(WORKERS)]
    now = store.now_ms()
    return [
        WorkerStatus(report["children"], report["ready"]) for report in reports if report["until_ms"] > now
    ]


def _queues(told: list[int | bytes]) -> Iterator[Backlog]:
    for i in range(0, len(told), _FIELDS):
        items, left, wait_s, rate, accepting, oldest_ms = told[i : i + _FIELDS]
        numbers = _number(wait_s), _number(rate)
        yield Backlog(int(items), int(left), *numbers, bool(accepting), int(oldest_ms) / 1000)


def _number(raw: int | bytes) -> float | None:
    return float(raw) if raw else None
