"""What waits in each class, and how fast it drains: measured by the ledger, read here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import from_json

from tasks.store.admission import ask
from tasks.store.connection import ledger_errors
from tasks.store.jobs import Ledger
from tasks.store.keys import PREFIX, WORKERS
from tasks.vocabulary.jobs import QueueClass

_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Queue:
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
class Workforce:
    """The children of one worker; `ready` of them hold a model that has scored."""

    children: int
    ready: int


def read_queues(ledger: Ledger) -> dict[QueueClass, Queue]:
    """Read all queues in one round trip."""
    args: list[str | bytes] = [PREFIX]
    for queue_class in QueueClass:
        args += [queue_class, ask(ledger.settings, queue_class, "", ())]
    told = ledger.run("read_backlog", [], args)
    return dict(zip(QueueClass, _queues(told), strict=True))


def live_workers(ledger: Ledger) -> list[Workforce]:
    """Return the children of each worker that reported lately."""
    with ledger_errors():
        reports = [from_json(raw) for raw in ledger.redis.hvals(WORKERS)]
    now = ledger.now_ms()
    return [Workforce(report["children"], report["ready"]) for report in reports if report["until_ms"] > now]


def _queues(told: list[int | bytes]) -> Iterator[Queue]:
    for i in range(0, len(told), _FIELDS):
        items, left, wait_s, rate, accepting, oldest_ms = told[i : i + _FIELDS]
        numbers = _number(wait_s), _number(rate)
        yield Queue(int(items), int(left), *numbers, bool(accepting), int(oldest_ms) / 1000)


def _number(raw: int | bytes) -> float | None:
    return float(raw) if raw else None
