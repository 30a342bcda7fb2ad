"""The webhook outbox: lease the deliveries that are due, record attempts, read the log.

The script that finishes a job records its delivery. A lease counts an attempt before it is made, so attempts
are bounded whatever dies; a delivery whose sender died is due again when its lease ends. Owners are served in
turn, so that the receivers of one owner do not delay the deliveries of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from pydantic_core import from_json

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_TURNS, deliveries_key, job_key, sender_key
from tasks.vocabulary.jobs import Counts
from tasks.vocabulary.webhooks import DeliveryStatus

# Longer than the longest attempt may take; `webhook_timeout_s` is held below it.
LEASE_S = 60
HEARTBEAT_S = 5  # between two heartbeats of a sender; one counts three times as long


@dataclass(frozen=True, slots=True)
class Delivery:
    """One leased attempt at a delivery. `attempt` counts from 1 and shuts out outcomes of earlier ones.

    `earlier` attempts were made before it was last asked for again. `trace` is the W3C traceparent of the
    admission of its job, where that was traced. A test has no job: it has an id of its own and TEST_EVENT.
    """

    job_id: str
    attempt: int
    owner: str
    url: str
    host: str
    event: str
    status: str
    counts: Counts
    ended_ms: int
    trace: str = ""
    earlier: int = 0

    @property
    def message_id(self) -> str:
        """Return the message id, the same at each attempt, by which a receiver knows a repetition."""
        return "msg_" + self.job_id.removeprefix("job_")


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of an attempt: the receiver's status code, or why there was none."""

    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log; neither `status_code` nor `error` while it is under way."""

    number: int
    at_ms: int
    status_code: int | None = None
    error: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DeliveryLog:
    """A delivery with its attempts. `next_ms`: when the next attempt is due, if any."""

    message_id: str
    event: str
    url: str
    status: DeliveryStatus
    attempts: Sequence[Attempt]
    next_ms: int | None


def heartbeat(store: JobStore, host: str) -> None:
    """Write that the sender of a host is alive."""
    with store_errors():
        store.redis.set(sender_key(host), 1, ex=3 * HEARTBEAT_S)


def is_alive(store: JobStore, host: str) -> bool:
    """Return whether the sender of a host has written a heartbeat lately."""
    with store_errors():
        return bool(store.redis.exists(sender_key(host)))


@dataclass(frozen=True, slots=True)
class Room:
    """The attempts that a sender can start: `free` in all, `limit` of them now.

    `held` counts those that it is making, by owner and host; at most `per_host` go to a host of an owner.
    """

    limit: int
    free: int
    per_host: int
    held: Mapping[str, Mapping[str, int]]


def lease_due(store: JobStore, room: Room) -> list[Delivery]:
    """Lease due deliveries for which the sender has room, one of each owner in turn."""
    args = asdict(room) | {
        "max_attempts": 1 + len(store.settings.webhook_retries_s),
        "lease_ms": LEASE_S * 1000,
    }
    leased = store.run("lease_deliveries", args)
    return [_read(job_id.decode(), _mapping(raw)) for job_id, raw in leased]


def record_attempt(
    store: JobStore,
    delivery: Delivery,
    outcome: AttemptOutcome,
    status: DeliveryStatus,
    delay_s: float = 0,
) -> None:
    """Record the outcome of an attempt; a delivery that is still pending is due again after the delay."""
    args = {
        "job_id": delivery.job_id,
        "attempt": delivery.attempt,
        "outcome": {name: value for name, value in asdict(outcome).items() if value is not None},
        "state": status,
        "delay_ms": int(delay_s * 1000),
    }
    store.run("record_attempt", args)


@dataclass(frozen=True, slots=True)
class DueDeliveries:
    """Deliveries that are neither made nor given up, and how long the first of them is overdue."""

    deliveries: int
    late_s: float


def read_due(store: JobStore) -> DueDeliveries:
    """Read what waits for a sender; senders that work keep `late_s` at 0."""
    with store_errors():
        owners = store.redis.zrange(DELIVERY_TURNS, 0, -1)
        pipe = store.redis.pipeline(transaction=False)
        for owner in owners:
            pipe.zcard(deliveries_key(owner.decode()))
            pipe.zrange(deliveries_key(owner.decode()), 0, 0, withscores=True)
        answers = pipe.execute()
    now_ms = store.now_ms()
    late_ms = (now_ms - due_ms for first in answers[1::2] for _, due_ms in first)
    return DueDeliveries(sum(answers[::2]), max([0, *late_ms]) / 1000)


def read_log(store: JobStore, job_id: str) -> DeliveryLog | None:
    """Read the log of a job's delivery; None for a job without a webhook, or one that is not finished."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(job_key(job_id, "delivery"))
    if not raw:
        return None
    delivery = _read(job_id, raw)
    with store_errors():
        due = store.redis.zscore(deliveries_key(delivery.owner), job_id)
    attempts = list(_attempts(raw, delivery.attempt))
    under_way = delivery.attempt > delivery.earlier and attempts[-1].duration_ms is None
    return DeliveryLog(
        delivery.message_id,
        delivery.event,
        delivery.url,
        DeliveryStatus(raw[b"state"].decode()),
        attempts,
        None if due is None or under_way else int(due),
    )


def _attempts(raw: Mapping[bytes, bytes], made: int) -> Iterator[Attempt]:
    for number in range(1, made + 1):
        if not (written := raw.get(str(number).encode())):
            continue  # of many attempts the log has the last ones
        line = from_json(written)
        if number < made and "duration_ms" not in line:
            line["error"] = "interrupted"
        yield Attempt(number, **line)


def _mapping(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _read(job_id: str, raw: Mapping[bytes, bytes]) -> Delivery:
    def number(name: str) -> int:
        return int(raw.get(name.encode()) or 0)

    counted = ("total", "succeeded", "failed", "timed_out", "canceled")
    return Delivery(
        job_id,
        number("attempts"),
        raw[b"owner"].decode(),
        raw[b"url"].decode(),
        raw[b"host"].decode(),
        raw[b"event"].decode(),
        raw[b"event"].decode().removeprefix("job."),
        Counts(*map(number, counted)),
        number("ended"),
        raw.get(b"trace", b"").decode(),
        number("earlier"),
    )
