"""Uploads: jobs that get chunks while their texts still come in, until the upload is closed."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import JobDataTooLargeError
from tasks.store.admission import refusal_error
from tasks.store.attachments import attachments_of
from tasks.store.idempotency import REMEMBERED_MS, IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.vocabulary.attachments import MAX_JOB_DATA_BYTES, data_bytes
from tasks.vocabulary.chunks import Chunk, ChunkRef
from tasks.vocabulary.codec import encode_chunk
from tasks.vocabulary.jobs import JobError, Queue
from tasks.vocabulary.tallies import NewGroups

# An upload that gets nothing for this long is closed by the reconciler: the process that fed it is gone.
IDLE_TIMEOUT_MS = 60_000


def reserve_key(store: JobStore, key: IdempotencyKey, job_id: str) -> str | None:
    """Take an idempotency key for an upload; return the id of the job that has it already, if any."""
    args = {"key": key.redis_key, "value": f"{key.fingerprint} {job_id}", "ttl_ms": IDLE_TIMEOUT_MS}
    remembered = store.run("reserve_idempotency_key", args)
    return key.replays(remembered) if remembered else None


def append_chunks(  # noqa: PLR0913  the script takes each of them
    store: JobStore,
    chunks: Sequence[Chunk],
    queue: Queue,
    key: IdempotencyKey | None,
    owner: str = "",
    *,
    groups: NewGroups = (),
) -> bool:
    """Add chunks; return False when the upload is open no more: canceled, deleted, overdue or idle too long.

    What has begun is not refused for want of time. Raises StoreFullError when Redis has no memory for more,
    StorageQuotaExceededError when it keeps as much as it may for the owner, JobDataTooLargeError when the
    items of the job would carry more `data` than those of one job may.
    """
    store.headroom.check()
    kept_limit = store.headroom.kept_limit(owner)
    refs = [ChunkRef.of(chunk) for chunk in chunks]
    attachments, attached = attachments_of(chunks)
    args = {
        "job_id": chunks[0].job_id,
        "queue": str(queue),
        "items": sum(len(chunk.items) for chunk in chunks),
        "cost": sum(ref.cost for ref in refs),
        "idle_timeout_ms": IDLE_TIMEOUT_MS,
        "chunks": [(ref.start, str(ref)) for ref in refs],
        "values": groups or None,
        "attachments": attachments,
        "data_bytes": sum(data_bytes(chunk.items) for chunk in chunks),
        "max_data_bytes": MAX_JOB_DATA_BYTES,
        "key": key.redis_key if key else None,
        "kept_limit": kept_limit,
    }
    answer = store.run("append_chunks", args, [*map(encode_chunk, chunks), *attached])
    if isinstance(answer, list):
        reason, wait_ms = answer
        if reason == b"data":
            raise JobDataTooLargeError(str(MAX_JOB_DATA_BYTES))
        raise refusal_error(reason, wait_ms, store.settings, kept_limit)
    return bool(answer)


def close(
    store: JobStore, job_id: str, key: IdempotencyKey | None = None, error: JobError | None = None
) -> bool:
    """Close an upload: the job finishes with the last item that it has. Return False when it was not open.

    A key whose body came whole is remembered with it; one whose body did not may be used again.
    """
    args = {
        "job_id": job_id,
        "error": error,
        "key": key.redis_key if key else None,
        "fingerprint": key.body if key else None,
        "key_ttl_ms": REMEMBERED_MS,
    }
    return bool(store.run("close_upload", args))


def close_idle(store: JobStore, job_id: str) -> bool:
    """Close an upload that nobody feeds any more, and mark the job as incomplete."""
    args = {"job_id": job_id, "idle": True, "error": JobError.UPLOAD_INCOMPLETE}
    return bool(store.run("close_upload", args))
