"""What waits in each class, and how fast it drains: measured by the ledger, read here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import from_json

from tasks.admission import ask
from tasks.jobs import QueueClass
from tasks.ledger import Ledger
from tasks.redis_client import ledger_errors
from tasks.refs import COUNTERS, PREFIX, WORKERS

_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Queue:
    """`items` wait or are leased, `left` were and are not any more.

    `wait_s` until all are done and `items_per_s` are None as long as no rate is known; `accepting` is whether
    one more text would be accepted now.
    """

    items: int
    left: int
    wait_s: float | None
    items_per_s: float | None
    accepting: bool


def read_queues(ledger: Ledger) -> dict[QueueClass, Queue]:
    """Read all queues in one round trip."""
    args: list[str | bytes] = [PREFIX]
    for queue_class in QueueClass:
        args += [queue_class, ask(ledger.settings, queue_class, "", ())]
    told = ledger.run("queues", [], args)
    return dict(zip(QueueClass, _queues(told), strict=True))


def live_workers(ledger: Ledger) -> list[int]:
    """Return the number of children of each worker that reported lately."""
    with ledger_errors():
        reports = [from_json(raw) for raw in ledger.redis.hvals(WORKERS)]
    now = ledger.now_ms()
    return [report["children"] for report in reports if report["until_ms"] > now]


def read_counters(ledger: Ledger) -> dict[str, int]:
    """Read what was counted since the ledger began: messages `resent`, jobs `lost`."""
    with ledger_errors():
        counted: dict[bytes, bytes] = ledger.redis.hgetall(COUNTERS)
    return {name.decode(): int(count) for name, count in counted.items()}


def _queues(told: list[int | bytes]) -> Iterator[Queue]:
    for i in range(0, len(told), _FIELDS):
        items, left, wait_s, rate, accepting = told[i : i + _FIELDS]
        yield Queue(int(items), int(left), _number(wait_s), _number(rate), bool(accepting))


def _number(raw: int | bytes) -> float | None:
    return float(raw) if raw else None
