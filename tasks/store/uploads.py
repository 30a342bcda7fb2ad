"""Jobs that grow: chunks are added while their texts still come in, then the job is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.store.idempotency import REMEMBERED_MS, IdempotencyKey, redis_key_of
from tasks.store.jobs import JobStore
from tasks.store.keys import PREFIX, UPLOADS, ChunkRef, job_key, pending_key
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.jobs import JobError, QueueClass

# A job that grows and gets nothing for so long is sealed by the reconciler: whoever fed it is gone.
IDLE_TIMEOUT_MS = 60_000


def reserve_key(store: JobStore, key: IdempotencyKey, job_id: str) -> str | None:
    """Take an idempotency key for a job that is about to come in; return the id of the job that has it."""
    remembered = store.run(
        "reserve_idempotency_key", [key.redis_key], [f"{key.fingerprint} {job_id}", IDLE_TIMEOUT_MS]
    )
    return key.replays(remembered) if remembered else None


def append_chunks(
    store: JobStore, chunks: Sequence[Chunk], queue_class: QueueClass, key: IdempotencyKey | None
) -> bool:
    """Add chunks; False when the job grows no more: it was canceled, deleted, overdue or silent too long.

    What was begun is not refused for want of time; StoreFullError tells that there is no memory for more.
    """
    store.headroom.check()
    job_id = chunks[0].job_id
    items = sum(len(chunk.items) for chunk in chunks)
    args: list[Any] = [job_id, items, IDLE_TIMEOUT_MS, sum(chunk.cost for chunk in chunks)]
    for chunk in chunks:
        args += [chunk.start, str(ChunkRef.of(chunk)), chunk.encode()]
    keys = [job_key(job_id), job_key(job_id, "in"), pending_key(queue_class), UPLOADS, redis_key_of(key)]
    return bool(store.run("append_chunks", keys, args))


def close(
    store: JobStore, job_id: str, key: IdempotencyKey | None = None, error: JobError | None = None
) -> bool:
    """End the growth: the job is over with the last item that it has. False when it did not grow.

    A key whose body is whole is remembered with it; one whose body is not may be used again.
    """
    body = key.body or "" if key else ""
    args = [PREFIX, job_id, "", error or "", body, REMEMBERED_MS]
    return bool(store.run("close_upload", [job_key(job_id), UPLOADS, redis_key_of(key)], args))


def close_idle(store: JobStore, job_id: str) -> bool:
    """Seal a job that nobody feeds any more, and have it say so."""
    args = [PREFIX, job_id, "silent", JobError.UPLOAD_INCOMPLETE, "", 0]
    return bool(store.run("close_upload", [job_key(job_id), UPLOADS, ""], args))
