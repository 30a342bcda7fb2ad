"""The jobs of an owner, newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.errors import SentiqError
from tasks.store.connection import store_errors
from tasks.store.ids import JobIds
from tasks.store.jobs import JobStore
from tasks.store.keys import owner_jobs_key
from tasks.vocabulary.jobs import Job

_AT_ONCE = 100
_MOST_READ = 1_000  # of a filter that matches little, one page is what so many jobs hold
_CLOCKS_MS = 300_000  # ids carry the time of the host that minted them


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant; times are exclusive and in milliseconds since the epoch."""

    created_after_ms: int | None = None
    created_before_ms: int | None = None
    wanted: Callable[[Job], bool] = lambda _: True

    def matches(self, job: Job) -> bool:
        """Whether a job is meant."""
        after, before = self.created_after_ms, self.created_before_ms
        return (
            (after is None or job.created_ms > after)
            and (before is None or job.created_ms < before)
            and self.wanted(job)
        )

    @property
    def ids(self) -> tuple[str, str]:
        """The least and the greatest id that can be meant, as Redis writes bounds."""
        after, before = self.created_after_ms, self.created_before_ms
        least = "-" if after is None else f"[{JobIds.lower_bound(after - _CLOCKS_MS)}"
        return least, "+" if before is None else f"({JobIds.lower_bound(before + _CLOCKS_MS)}"


def page(
    store: JobStore, owner: str, meant: Filter, cursor: str | None, limit: int
) -> tuple[list[Job], str | None]:
    """Return up to `limit` jobs that come behind the id `cursor`, and the cursor of what follows, if any."""
    found: list[Job] = []
    least, greatest = meant.ids
    if cursor is not None:
        greatest = f"({cursor}"
    for _ in range(_MOST_READ // _AT_ONCE):
        ids = _ids(store, owner, least, greatest)
        for job in _read(store, owner, ids):
            if meant.matches(job):
                found.append(job)
            if len(found) == limit:
                return found, job.id
        if len(ids) < _AT_ONCE:
            return found, None
        greatest = f"({ids[-1]}"
    return found, ids[-1]


def _ids(store: JobStore, owner: str, least: str, greatest: str) -> list[str]:
    with store_errors():
        raw = store.redis.zrange(
            owner_jobs_key(owner), greatest, least, desc=True, bylex=True, offset=0, num=_AT_ONCE
        )
    return [job_id.decode() for job_id in raw]


def _read(store: JobStore, owner: str, ids: list[str]) -> list[Job]:
    """Read the records; what has none any more leaves the list."""
    records = store.jobs(ids, owner)
    gone = [job_id for job_id, job in zip(ids, records, strict=True) if isinstance(job, SentiqError)]
    if gone:
        with store_errors():
            store.redis.zrem(owner_jobs_key(owner), *gone)
    return [job for job in records if isinstance(job, Job)]
