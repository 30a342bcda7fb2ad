"""The jobs of all owners, newest first, for operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore, is_readable
from tasks.store.keys import KEPT, job_key, owner_jobs_key
from tasks.store.listing import Filter
from tasks.vocabulary.jobs import Job, JobStatus

_SLICE = 100
# What one page looks at, at most: a filter that matches few jobs makes a short page.
_MAX_SLICES = 10


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are read; None stands for all. Times are exclusive and in ms since the epoch.

    `failed`: only those of which an item failed or timed out.
    """

    owner: str | None = None
    status: JobStatus | None = None
    model: str | None = None
    queue_class: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    failed: bool = False

    def matches(self, job: Job) -> bool:
        """Return whether a job passes."""
        asked = (
            (self.status, job.status),
            (self.model, job.queue.model),
            (self.queue_class, job.queue.queue_class),
        )
        after, before = self.created_after_ms, self.created_before_ms
        return (
            all(wanted is None or wanted == found for wanted, found in asked)
            and (after is None or job.created_ms > after)
            and (before is None or job.created_ms < before)
            and (not self.failed or job.counts.failed + job.counts.timed_out > 0)
        )

    @property
    def ids(self) -> tuple[str, str]:
        """Return the smallest and the greatest id that can pass, as Redis writes bounds."""
        return Filter(self.created_after_ms, self.created_before_ms).ids


def page(
    store: JobStore, passing: JobFilter, cursor: str | None, limit: int, *, charge: Callable[[], None]
) -> tuple[list[Job], str | None]:
    """Return up to `limit` jobs that come behind the id `cursor`, and the cursor of what follows, if any.

    Reads slices of all lists at once. Each slice after the first is charged.
    """
    smallest, greatest = passing.ids
    greatest = greatest if cursor is None else f"({cursor}"
    owners = job_owners(store) if passing.owner is None else [passing.owner]
    found: list[Job] = []
    for number in range(_MAX_SLICES):
        if number:
            charge()
        ids = _newest(store, owners, smallest, greatest)
        for job in _records(store, ids):
            if passing.matches(job):
                found.append(job)
            if len(found) == limit:
                return found, job.id
        if len(ids) < _SLICE:
            return found, None
        greatest = f"({ids[-1]}"
    return found, ids[-1]


def job_owners(store: JobStore) -> list[str]:
    """Return the owners of whose jobs Redis keeps anything."""
    with store_errors():
        return [owner.decode() for owner in store.redis.hkeys(KEPT)]


def _newest(store: JobStore, owners: Sequence[str], smallest: str, greatest: str) -> list[str]:
    """Return the newest listed ids between the bounds, of all these owners together."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for owner in owners:
            pipe.zrange(
                owner_jobs_key(owner), greatest, smallest, desc=True, bylex=True, offset=0, num=_SLICE
            )
        read: list[list[bytes]] = pipe.execute()
    return [job_id.decode() for job_id in nlargest(_SLICE, (each for ids in read for each in ids))]


def _records(store: JobStore, ids: Sequence[str]) -> list[Job]:
    """Return the jobs that have records which this program reads."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(job_key(job_id))
        records: list[Mapping[bytes, Any]] = pipe.execute()
    return [
        Job.decode(job_id, record)
        for job_id, record in zip(ids, records, strict=True)
        if record and is_readable(record.get(b"format"))
    ]


def errors_of(store: JobStore, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many items of each job have which error."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(job_key(job_id, "summary"))
        summaries: list[Mapping[bytes, bytes]] = pipe.execute()
    return {job_id: _errors(summary) for job_id, summary in zip(ids, summaries, strict=True)}


def _errors(summary: Mapping[bytes, bytes]) -> dict[str, int]:
    named = {field.decode().partition(" "): int(n) for field, n in summary.items() if field[:6] == b"error "}
    return {code: items for (_, _, code), items in sorted(named.items())}
