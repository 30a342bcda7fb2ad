"""Uploads: jobs that get chunks while their texts still come in, until the upload is closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.errors import (
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    JobDataTooLargeError,
    JobDeletedError,
    SentiqError,
    UploadClosedError,
)
from tasks.store.admission import refusal_error
from tasks.store.attachments import attachments_of
from tasks.store.cancel import TOMBSTONE_MS
from tasks.store.connection import store_errors
from tasks.store.idempotency import OPEN, REMEMBERED_MS, IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.vocabulary.attachments import MAX_JOB_DATA_BYTES, data_bytes
from tasks.vocabulary.chunks import Chunk, ChunkRef
from tasks.vocabulary.codec import encode_chunk
from tasks.vocabulary.feeds import RESUMABLE_MS, SILENCE_MS, Feed
from tasks.vocabulary.jobs import JobError, Queue
from tasks.vocabulary.tallies import NewGroups


def reserve_key(store: JobStore, key: IdempotencyKey, job_id: str) -> tuple[str, str] | None:
    """Take an idempotency key for an upload. Return the fingerprint and the job that have it already, if any.

    The fingerprint is `OPEN` while the upload of that job is open.
    """
    args = {"key": key.redis_key, "value": f"{OPEN} {job_id}", "ttl_ms": SILENCE_MS}
    remembered = store.run("reserve_idempotency_key", args)
    if not remembered:
        return None
    fingerprint, known = remembered.decode().split(" ")
    return fingerprint, known


def model_of(store: JobStore, key: IdempotencyKey) -> str | None:
    """Return the model of the job that a key stands for, made or still coming in; None if there is none."""
    with store_errors():
        remembered = store.redis.get(key.redis_key)
        queue = remembered and store.redis.hget(job_key(remembered.decode().split(" ")[1]), "queue")
    return Queue.parse(queue).model if queue else None


def take(store: JobStore, job_id: str, feed: Feed, key: IdempotencyKey, *, any_terms: bool = False) -> Feed:
    """Take an open upload for a request that feeds it, or keep it; return the feed with what is recorded.

    Raises IdempotencyKeyInFlightError while another request feeds it, IdempotencyKeyReusedError if its terms
    are others, JobDeletedError, and UploadClosedError if it was canceled or timed out.
    """
    args = {
        "job_id": job_id,
        "writer": feed.writer,
        "seed": None if any_terms else feed.seed,
        "busy_ms": SILENCE_MS,
        "idle_timeout_ms": RESUMABLE_MS,
        "key": key.redis_key,
    }
    recorded, answer = store.run("take_upload", args)
    refusals: dict[bytes, SentiqError] = {
        b"busy": IdempotencyKeyInFlightError(key.text),
        b"other": IdempotencyKeyReusedError(key.text),
        b"deleted": JobDeletedError(job_id),
        b"closed": UploadClosedError(job_id),
    }
    if refusal := refusals.get(answer):
        raise refusal
    return replace(feed, digest=answer.decode(), recorded=recorded)


def leave(store: JobStore, job_id: str, feed: Feed) -> None:
    """Leave an upload open for another request that resumes it."""
    store.run("leave_upload", {"job_id": job_id, "writer": feed.writer})


def discard(store: JobStore, job_id: str, owner: str, feed: Feed, key: IdempotencyKey | None) -> None:
    """Erase the job of an upload and let its key be used again, unless another request feeds the upload."""
    args = {
        "job_id": job_id,
        "owner": owner,
        "tombstone_ms": TOMBSTONE_MS,
        "writer": feed.writer,
        "key": key.redis_key if key else None,
    }
    store.run("delete_job", args)


def append_chunks(  # noqa: PLR0913  the script takes each of them
    store: JobStore,
    chunks: Sequence[Chunk],
    feed: Feed,
    *,
    key: IdempotencyKey | None = None,
    owner: str = "",
    groups: NewGroups = (),
    keep_texts: bool = False,
) -> bool:
    """Add chunks; `feed` is the state behind them. Return False when the upload is not open for this feed.

    It may be canceled, deleted, overdue, idle too long, or taken by another request. What has begun is not
    refused for want of time. Raises StoreFullError when Redis has no memory for more,
    StorageQuotaExceededError when it keeps as much as it may for the owner, JobDataTooLargeError when the
    items of the job would carry more `data` than those of one job may.
    """
    store.headroom.check()
    kept_limit = store.headroom.kept_limit(owner)
    refs = [ChunkRef.of(chunk) for chunk in chunks]
    attachments, attached = attachments_of(chunks, keep_texts=keep_texts)
    args = {
        "job_id": chunks[0].job_id,
        "writer": feed.writer,
        "digest": feed.digest,
        "items": sum(len(chunk.items) for chunk in chunks),
        "cost": sum(ref.cost for ref in refs),
        "idle_timeout_ms": feed.idle_timeout_ms,
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


def close(  # noqa: PLR0913  each is a way in which an upload ends
    store: JobStore,
    job_id: str,
    key: IdempotencyKey | None = None,
    error: JobError | None = None,
    *,
    error_line: int | None = None,
    feed: Feed | None = None,
) -> bool:
    """Close an upload: the job finishes with the last item that it has. Return False when it was not open.

    A key whose body came whole is remembered with it; one whose body did not may be used again. With a feed,
    nothing happens if another request has taken the upload.
    """
    args = {
        "job_id": job_id,
        "writer": feed.writer if feed else None,
        "error": error,
        "error_line": error_line,
        "key": key.redis_key if key else None,
        "fingerprint": key.body if key else None,
        "key_ttl_ms": REMEMBERED_MS,
    }
    return bool(store.run("close_upload", args))


def close_idle(store: JobStore, job_id: str) -> bool:
    """Close an upload that nobody feeds any more, and mark the job as incomplete."""
    args = {"job_id": job_id, "idle": True, "error": JobError.UPLOAD_INCOMPLETE}
    return bool(store.run("close_upload", args))
