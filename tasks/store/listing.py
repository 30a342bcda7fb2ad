"""The jobs of an owner, newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.errors import SentiqError
from tasks.store.connection import store_errors
from tasks.store.ids import JobIds
from tasks.store.jobs import CLOCK_SKEW_MS, JobStore
from tasks.store.keys import owner_jobs_key
from tasks.vocabulary.jobs import Job

_JOB_BATCH = 100
_MAX_READ = 1_000  # jobs that one page reads: a filter that matches few of them makes a short page


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are listed; times are exclusive and in milliseconds since the epoch."""

    created_after_ms: int | None = None
    created_before_ms: int | None = None
    accepts: Callable[[Job], bool] = lambda _: True

    def matches(self, job: Job) -> bool:
        """Return whether a job passes."""
        after, before = self.created_after_ms, self.created_before_ms
        return (
            (after is None or job.created_ms > after)
            and (before is None or job.created_ms < before)
            and self.accepts(job)
        )

    @property
    def ids(self) -> tuple[str, str]:
        """Return the smallest and the greatest id that can pass, as Redis writes bounds."""
        after, before = self.created_after_ms, self.created_before_ms
        smallest = "-" if after is None else f"[{JobIds.lower_bound(after - CLOCK_SKEW_MS)}"
        return smallest, "+" if before is None else f"({JobIds.lower_bound(before + CLOCK_SKEW_MS)}"


def page(
    store: JobStore, owner: str, passing: Filter, cursor: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """Return up to `limit` jobs that come behind the id `cursor`, and the cursor of what follows, if any."""
    jobs: list[Job] = []
    smallest, greatest = passing.ids
    if cursor is not None:
        greatest = f"({cursor}"
    for _ in range(_MAX_READ // _JOB_BATCH):
        ids = _ids(store, owner, smallest, greatest)
        for job in _read(store, owner, ids):
            if passing.matches(job):
                jobs.append(job)
            if len(jobs) == limit:
                return jobs, job.id
        if len(ids) < _JOB_BATCH:
            return jobs, None
        greatest = f"({ids[-1]}"
    return jobs, ids[-1]


def _ids(store: JobStore, owner: str, smallest: str, greatest: str) -> list[str]:
    key = owner_jobs_key(owner)
    with store_errors():
        raw = store.redis.zrange(key, greatest, smallest, desc=True, bylex=True, offset=0, num=_JOB_BATCH)
    return [job_id.decode() for job_id in raw]


def _read(store: JobStore, owner: str, ids: list[str]) -> list[Job]:
    """Read the records; an id without one leaves the list."""
    records = store.jobs(ids, owner)
    gone = [job_id for job_id, job in zip(ids, records, strict=True) if isinstance(job, SentiqError)]
    if gone:
        with store_errors():
            store.redis.zrem(owner_jobs_key(owner), *gone)
    return [job for job in records if isinstance(job, Job)]
