"""What Redis keeps of each owner's jobs, as `lua/include/kept.lua` counts it, and its purge."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.store import audit
from tasks.store.cancel import delete_job
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import KEPT, kept_jobs_key

_JOB_BATCH = 100


def kept_bytes(store: JobStore) -> Mapping[str, int]:
    """Return the bytes that are kept for each owner of jobs."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(KEPT)
    return {owner.decode(): int(count) for owner, count in raw.items()}


def purge(store: JobStore, owner: str) -> int:
    """Delete all jobs of an owner, one script a job; return how many. A second call does what is left.

    The log has its begin and its end, so that one which is interrupted is there too.
    """
    purged = 0
    with store_errors():
        audit.append(store.redis, "purge", owner, "begun")
        for job_id, _ in store.redis.hscan_iter(kept_jobs_key(owner), count=_JOB_BATCH):
            delete_job(store, job_id.decode(), owner)
            purged += 1
        audit.append(store.redis, "purge", owner, f"{purged} jobs")
    return purged
