"""The texts of items that failed: kept as long as the results, so that they can be tried again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tasks.errors import NothingToRetryError
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, Terms

_AT_ONCE = 50


def retry_terms(job: Job) -> Terms:
    """Return the terms of a job that tries the failed items of another again.

    They are the same but for the deadline: what was too short once must not be so again.
    """
    return replace(job.terms, retry_of=job.id, deadline_s=None)


def retryable_items(store: JobStore, job: Job) -> Iterator[Item]:
    """Yield the failed items of a job that is over in input order. Raises NothingToRetryError at once."""
    with store_errors():
        starts = sorted(map(int, store.redis.hkeys(job_key(job.id, "kept"))))
    if not starts:
        raise NothingToRetryError(job.id)
    return _read(store, job.id, starts)


def _read(store: JobStore, job_id: str, starts: list[int]) -> Iterator[Item]:
    for first in range(0, len(starts), _AT_ONCE):
        part = starts[first : first + _AT_ONCE]
        with store_errors():
            payloads = store.redis.hmget(job_key(job_id, "kept"), part)
        for start, payload in zip(part, payloads, strict=True):
            if payload is not None:
                yield from Chunk.decode(job_id, start, payload).items
