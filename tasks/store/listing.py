"""The jobs of an owner, newest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json, to_json

from tasks.errors import SentiqError, WritesRefusedError
from tasks.store.connection import store_errors
from tasks.store.ids import JobIds
from tasks.store.jobs import CLOCK_SKEW_MS, JobStore
from tasks.store.keys import job_key, owner_jobs_key
from tasks.vocabulary.jobs import Job, JobStatus

_SLICE = 100
# What one page looks at, at most: a filter that matches few jobs makes a short page.
_MAX_SLICES = 10
_MAX_READ_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are listed; times are exclusive and in milliseconds since the epoch."""

    created_after_ms: int | None = None
    created_before_ms: int | None = None
    status: JobStatus | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def fields(self) -> list[str]:
        """Return the fields of a record that `matches` needs, in its order."""
        return ["status", "created", *(["metadata"] if self.metadata else [])]

    def matches(self, status: bytes, created: bytes, metadata: bytes | None = None) -> bool:
        """Return whether a job with these fields passes."""
        after, before = self.created_after_ms, self.created_before_ms
        return (
            (after is None or int(created) > after)
            and (before is None or int(created) < before)
            and (self.status is None or status == self.status.encode())
            and (not self.metadata or self._has_metadata(metadata or b"{}"))
        )

    @property
    def ids(self) -> tuple[str, str]:
        """Return the smallest and the greatest id that can pass, as Redis writes bounds."""
        after, before = self.created_after_ms, self.created_before_ms
        smallest = "-" if after is None else f"[{JobIds.lower_bound(after - CLOCK_SKEW_MS)}"
        return smallest, "+" if before is None else f"({JobIds.lower_bound(before + CLOCK_SKEW_MS)}"

    def _has_metadata(self, written: bytes) -> bool:
        # Reading JSON is dear: most records that lack a pair lack its text too.
        pairs = [to_json({name: value})[1:-1] in written for name, value in self.metadata.items()]
        return all(pairs) and self.metadata.items() <= from_json(written).items()


def page(  # noqa: PLR0913  a page has each of them
    store: JobStore,
    owner: str,
    passing: Filter,
    cursor: str | None,
    limit: int,
    *,
    charge: Callable[[], None] = lambda: None,
) -> tuple[list[Job], str | None]:
    """Return up to `limit` jobs that come behind the id `cursor`, and the cursor of what follows, if any.

    Reads slices of the list; other requests run while Redis answers. Each slice after the first is charged.
    """
    jobs: list[Job] = []
    smallest, greatest = passing.ids
    if cursor is not None:
        greatest = f"({cursor}"
    read_bytes = 0
    for number in range(_MAX_SLICES):
        if number:
            charge()
        ids = _ids(store, owner, smallest, greatest)
        heads = _heads(store, owner, ids, passing.fields)
        matching = [job_id for job_id, head in heads.items() if passing.matches(*head)]
        room = limit - len(jobs)
        jobs += _records(store, owner, matching[:room])
        if len(matching) >= room:
            return jobs, matching[room - 1]
        if len(ids) < _SLICE:
            return jobs, None
        greatest = f"({ids[-1]}"
        read_bytes += sum(len(value or b"") for head in heads.values() for value in head)
        if read_bytes > _MAX_READ_BYTES:
            break
    return jobs, ids[-1]


def _ids(store: JobStore, owner: str, smallest: str, greatest: str) -> list[str]:
    key = owner_jobs_key(owner)
    with store_errors():
        raw = store.redis.zrange(key, greatest, smallest, desc=True, bylex=True, offset=0, num=_SLICE)
    return [job_id.decode() for job_id in raw]


def _heads(
    store: JobStore, owner: str, ids: Sequence[str], fields: Sequence[str]
) -> dict[str, Sequence[bytes]]:
    """Read some fields of records; an id without a record leaves the list."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hmget(job_key(job_id), fields)
        heads = dict(zip(ids, pipe.execute(), strict=True))
    gone = [job_id for job_id, head in heads.items() if head[0] is None]
    if gone:
        _forget(store, owner, gone)
    return {job_id: head for job_id, head in heads.items() if head[0] is not None}


def _forget(store: JobStore, owner: str, gone: Sequence[str]) -> None:
    try:
        with store_errors():
            store.redis.zrem(owner_jobs_key(owner), *gone)
    except WritesRefusedError:
        return  # reads go on; the ids leave the list later


def _records(store: JobStore, owner: str, ids: Sequence[str]) -> list[Job]:
    if not ids:
        return []
    return [job for job in store.jobs(ids, owner) if not isinstance(job, SentiqError)]
