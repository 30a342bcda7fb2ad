"""The deliveries of all owners, by when their jobs finished, and their repetition, for operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json

from tasks.errors import NoWebhookError, WritesRefusedError
from tasks.store.connection import store_errors
from tasks.store.deliveries import Attempt
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_LOG, deliveries_key, job_key
from tasks.vocabulary.webhooks import DeliveryStatus, Event

_SLICE = 200
# What one page looks at, at most: a filter that matches few deliveries makes a short page.
_MAX_SLICES = 10
_FIELDS = ("owner", "host", "event", "state", "attempts", "earlier", "ended")


@dataclass(frozen=True, slots=True)
class OwnedDelivery:
    """A delivery without the path and the query of its URL, which may hold a token.

    `next_ms` is when the next attempt is due, `last` the last one that began, None before the first.
    """

    job_id: str
    owner: str
    host: str
    event: Event
    status: DeliveryStatus
    attempts: int
    earlier: int
    ended_ms: int
    last: Attempt | None = None
    next_ms: int | None = None

    @property
    def message_id(self) -> str:
        """Return the id by which its receiver knows a repetition."""
        return "msg_" + self.job_id.removeprefix("job_")

    @property
    def cursor(self) -> str:
        """Return the cursor of what follows this delivery."""
        return f"{self.ended_ms}-{self.job_id}"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries are read; None stands for all. Times are exclusive, in ms since the epoch."""

    owner: str | None = None
    status: DeliveryStatus | None = None
    finished_after_ms: int | None = None
    finished_before_ms: int | None = None

    def matches(self, found: OwnedDelivery) -> bool:
        """Return whether a delivery passes."""
        after, before = self.finished_after_ms, self.finished_before_ms
        return (
            (self.owner is None or found.owner == self.owner)
            and (self.status is None or found.status is self.status)
            and (after is None or found.ended_ms > after)
            and (before is None or found.ended_ms < before)
        )


def page(
    store: JobStore, passing: DeliveryFilter, cursor: str | None, limit: int, *, charge: Callable[[], None]
) -> tuple[list[OwnedDelivery], str | None]:
    """Return up to `limit` deliveries that come behind the cursor, and the cursor of the rest.

    That of the job that finished last comes first. Each slice of the log after the first is charged.
    """
    found: list[OwnedDelivery] = []
    for number in range(_MAX_SLICES):
        if number:
            charge()
        ids = _ids(store, passing, cursor)
        for each in _read(store, ids):
            if passing.matches(each):
                found.append(each)
            if len(found) == limit:
                return _with_attempts(store, found), each.cursor
        if len(ids) < _SLICE:
            return _with_attempts(store, found), None
        cursor = ids[-1]
    return _with_attempts(store, found), cursor


def delivery_of(store: JobStore, job_id: str) -> OwnedDelivery:
    """Return the delivery of a job of any owner. Raises NoWebhookError."""
    found = list(_read(store, [f"0-{job_id}"]))
    if not found:
        raise NoWebhookError(job_id)
    return _with_attempts(store, found)[0]


def redeliver(store: JobStore, found: OwnedDelivery) -> bool:
    """Make a delivery due now, with all its attempts before it again; False if it has changed meanwhile.

    It is sent with the same message id. Whatever dies from here on, it is due until an attempt is answered.
    """
    return bool(store.run("redeliver", {"job_id": found.job_id, "state": found.status}))


def _ids(store: JobStore, passing: DeliveryFilter, cursor: str | None) -> list[str]:
    """Return the cursors of a slice of the log, the last finished first; of one millisecond it has all."""
    after, before = passing.finished_after_ms, passing.finished_before_ms
    greatest = "+inf" if before is None else f"({before}"
    last_ms, _, last_id = (cursor or "").partition("-")
    with store_errors():
        read = store.redis.zrange(
            DELIVERY_LOG,
            last_ms or greatest,
            "-inf" if after is None else f"({after}",
            desc=True,
            byscore=True,
            offset=0,
            num=2 * _SLICE,  # some of them come before the cursor
            withscores=True,
        )
    ids = [(job_id.decode(), int(ended)) for job_id, ended in read]
    behind = [(job_id, ended) for job_id, ended in ids if str(ended) != last_ms or job_id < last_id]
    return [f"{ended}-{job_id}" for job_id, ended in behind[:_SLICE]]


def _read(store: JobStore, ids: Sequence[str]) -> Iterator[OwnedDelivery]:
    """Yield the deliveries that are there; what has expired leaves the log."""
    job_ids = [each.partition("-")[2] for each in ids]
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hmget(job_key(job_id, "delivery"), _FIELDS)
        records = dict(zip(job_ids, pipe.execute(), strict=True))
    gone = [job_id for job_id, record in records.items() if record[0] is None]
    if gone:
        with suppress(WritesRefusedError), store_errors():
            store.redis.zrem(DELIVERY_LOG, *gone)
    for job_id, record in records.items():
        if record[0] is not None:
            yield _owned(job_id, dict(zip(_FIELDS, record, strict=True)))


def _owned(job_id: str, record: Mapping[str, bytes | None]) -> OwnedDelivery:
    written = {name: (value or b"").decode() for name, value in record.items()}
    return OwnedDelivery(
        job_id,
        written["owner"],
        written["host"],
        Event(written["event"]),
        DeliveryStatus(written["state"]),
        int(written["attempts"]),
        int(written["earlier"] or 0),
        int(written["ended"]),
    )


def _with_attempts(store: JobStore, found: Sequence[OwnedDelivery]) -> list[OwnedDelivery]:
    """Return the deliveries with their last attempts and when the next ones are due."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for each in found:
            pipe.hget(job_key(each.job_id, "delivery"), str(each.attempts))
            pipe.zscore(deliveries_key(each.owner), each.job_id)
        read: list[Any] = pipe.execute()
    return [_with(*each) for each in zip(found, read[::2], read[1::2], strict=True)]


def _with(found: OwnedDelivery, line: bytes | None, due: float | None) -> OwnedDelivery:
    last = Attempt(found.attempts, **from_json(line)) if line else None
    under_way = found.attempts > found.earlier and last is not None and last.duration_ms is None
    return replace(found, last=last, next_ms=None if due is None or under_way else int(due))
