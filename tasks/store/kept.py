"""What Redis keeps of each owner's jobs, as `lua/include/kept.lua` counts it, and its purge."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.store.cancel import delete_job
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import KEPT, owner_jobs_key

_JOB_BATCH = 100


def kept_bytes(store: JobStore) -> Mapping[str, int]:
    """Return the bytes that are kept for each owner of jobs."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(KEPT)
    return {owner.decode(): int(count) for owner, count in raw.items()}


def purge(store: JobStore, owner: str) -> int:
    """Delete all jobs of an owner, one script a job; return how many. A second call does what is left."""
    purged = 0
    while job_ids := _some_jobs(store, owner):
        for job_id in job_ids:
            delete_job(store, job_id, owner)
        with store_errors():
            # Ids whose records have expired are in the list too.
            store.redis.zrem(owner_jobs_key(owner), *job_ids)
        purged += len(job_ids)
    return purged


def _some_jobs(store: JobStore, owner: str) -> list[str]:
    with store_errors():
        raw = store.redis.zrange(owner_jobs_key(owner), 0, _JOB_BATCH - 1)
    return [job_id.decode() for job_id in raw]
