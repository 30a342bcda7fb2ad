"""What each owner has open and kept, and its turn in every queue, for operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.store.backlog import Backlog, read_backlogs, read_lines
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes
from tasks.store.keys import OWNERS, WEIGHTS, owner_open_jobs_key
from tasks.vocabulary.jobs import Queue


@dataclass(frozen=True, slots=True)
class OwnerQueue:
    """An owner in a queue: `items` that wait or are leased, the `share` of the queue that it gets now.

    `eta_s` is when its items should be done, None while no rate is known.
    """

    queue: Queue
    items: int
    share: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class OwnerState:
    """What an owner has: items and jobs that are not finished, bytes that are kept, its turns in queues.

    `paused_items` are part of the pending ones, and in no queue.
    """

    owner: str
    weight: float
    pending_items: int
    paused_items: int
    open_jobs: int
    kept_bytes: int
    queues: Sequence[OwnerQueue]


def read_owners(store: JobStore, models: Sequence[str]) -> list[OwnerState]:
    """Return every owner that has anything open or kept, those with the most open items first."""
    backlogs = read_backlogs(store, models)
    lines, kept = read_lines(store, list(backlogs)), kept_bytes(store)
    with store_errors():
        read = store.redis.pipeline(transaction=False).hgetall(OWNERS).hgetall(WEIGHTS).execute()
    pending, weights = ({owner.decode(): float(value) for owner, value in each.items()} for each in read)
    queues: dict[str, list[OwnerQueue]] = {owner: [] for owner in sorted({*pending, *kept})}
    for queue, each in lines.items():
        for owner, items in each.items.items():
            rate = _rate(backlogs, queue)
            eta_s = each.scored_until(items, owner) / rate if rate else None
            queues.setdefault(owner, []).append(OwnerQueue(queue, items, each.share(owner), eta_s))
    jobs = _open_jobs(store, list(queues))
    found = [
        OwnerState(
            owner,
            weights.get(owner, 1.0),
            int(pending.get(owner, 0)),
            sum(each.paused.get(owner, 0) for each in lines.values()),
            jobs[owner],
            kept.get(owner, 0),
            turns,
        )
        for owner, turns in queues.items()
    ]
    return sorted(found, key=lambda state: -state.pending_items)


def _rate(backlogs: Mapping[Queue, Backlog], queue: Queue) -> float | None:
    return backlogs[queue].items_per_s


def _open_jobs(store: JobStore, owners: Sequence[str]) -> dict[str, int]:
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for owner in owners:
            pipe.scard(owner_open_jobs_key(owner))
        return dict(zip(owners, pipe.execute(), strict=True))
