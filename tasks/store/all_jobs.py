"""The jobs of all owners, newest first, for operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore, is_readable
from tasks.store.keys import KEPT, job_key, owner_jobs_key
from tasks.store.listing import Filter
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import Job, JobStatus

_SLICE = 100
# What one page looks at, at most: a filter that matches few jobs makes a short page.
_MAX_SLICES = 10
_MAX_READ_BYTES = 2 * 2**20  # metadata, which no answer shows, may make records large
_MAX_IDS, _MIN_OF_EACH = 5_000, 5  # of all owners, and of each where they are many
_RECORDS_AT_ONCE = 20
_ERROR_FIELDS = [f"error {code}" for code in ItemError]


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
    read_bytes = 0
    for number in range(_MAX_SLICES):
        if number:
            charge()
        ids, more = _newest(store, owners, smallest, greatest)
        for job, size in _records(store, ids):
            read_bytes += size
            if passing.matches(job):
                found.append(job)
            if len(found) == limit or read_bytes > _MAX_READ_BYTES:
                return found, job.id
        if not more:
            return found, None
        greatest = f"({ids[-1]}"
    return found, ids[-1]


def job_owners(store: JobStore) -> list[str]:
    """Return the owners of whose jobs Redis keeps anything."""
    with store_errors():
        return [owner.decode() for owner in store.redis.hkeys(KEPT)]


def _newest(store: JobStore, owners: Sequence[str], smallest: str, greatest: str) -> tuple[list[str], bool]:
    """Return the newest listed ids between the bounds, of all owners together, and whether there are more.

    Of many owners it reads few of each, and returns no id that is older than the last it read of an owner.
    """
    of_each = min(_SLICE, max(_MIN_OF_EACH, _MAX_IDS // max(1, len(owners))))
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for owner in owners:
            pipe.zrange(
                owner_jobs_key(owner), greatest, smallest, desc=True, bylex=True, offset=0, num=of_each
            )
        read: list[list[bytes]] = pipe.execute()
    oldest = max((ids[-1] for ids in read if len(ids) == of_each), default=b"")
    known = [job_id for ids in read for job_id in ids if job_id >= oldest]
    newest = [job_id.decode() for job_id in nlargest(_SLICE, known)]
    return newest, bool(oldest) or len(known) > len(newest)


def _records(store: JobStore, ids: Sequence[str]) -> Iterator[tuple[Job, int]]:
    """Yield the jobs that have records which this program reads, each with the bytes of its record.

    Reads few at once: the caller may stop.
    """
    for start in range(0, len(ids), _RECORDS_AT_ONCE):
        some = ids[start : start + _RECORDS_AT_ONCE]
        with store_errors():
            pipe = store.redis.pipeline(transaction=False)
            for job_id in some:
                pipe.hgetall(job_key(job_id))
            records: list[Mapping[bytes, Any]] = pipe.execute()
        for job_id, record in zip(some, records, strict=True):
            if record and is_readable(record.get(b"format")):
                yield Job.decode(job_id, record), sum(map(len, record.values()))


def errors_of(store: JobStore, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how many items of each job have which error."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for job_id in ids:
            # Not all of a summary: it has the groups of `summarize_by` too.
            pipe.hmget(job_key(job_id, "summary"), _ERROR_FIELDS)
        read: list[list[bytes | None]] = pipe.execute()
    return {job_id: _errors(counts) for job_id, counts in zip(ids, read, strict=True)}


def _errors(counts: Sequence[bytes | None]) -> dict[str, int]:
    named = zip(map(str, ItemError), counts, strict=True)
    return {code: int(items) for code, items in sorted(named) if items}
