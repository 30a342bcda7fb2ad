"""Ends jobs before their work is done: cancels them, deletes them, expires the chunks of overdue ones."""

from __future__ import annotations

import math
import time
from typing import Any

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.store.workers import live_workers
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.codec import decode_chunk, encode_chunk, encode_results
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.tallies import count
from tasks.vocabulary.usage import Usage

# Children learn within half a second that their work was canceled; what they finish by then still counts.
CANCEL_GRACE_MS = 700
# Longer than any record can live: the longest deferral, deadline and lifetime of results, and a day.
TOMBSTONE_MS = 22 * 86_400_000
# Chunks that one call expires, so that neither Redis nor the caller's loop is held up for long.
_CHUNK_BATCH = 100


def cancel_job(store: JobStore, job_id: str, patience_s: float = math.inf) -> bool:
    """Cancel a job: expire what nobody has leased. Return False when it was finished already.

    Stop after `patience_s`; call again to continue.
    """
    end = time.monotonic() + patience_s
    # Without workers there is nobody to wait for, nor a reconciler to expire what a dead child holds.
    grace_ms = CANCEL_GRACE_MS if live_workers(store) else 0
    if not store.run("cancel_job", {"job_id": job_id, "grace_ms": grace_ms}):
        return False
    cursor, first = 0, True
    while (cursor or first) and time.monotonic() < end:
        cursor, first = expire_chunks(store, job_id, ItemError.CANCELED, cursor=cursor), False
    return True


def delete_job(store: JobStore, job_id: str, owner: str) -> None:
    """Erase a job with its texts and results. Children that hold some of it find it gone."""
    store.run("delete_job", {"job_id": job_id, "owner": owner, "tombstone_ms": TOMBSTONE_MS})


def erase_job(store: JobStore, job_id: str, owner: str) -> None:
    """Erase a finished job whose id no caller has, without a tombstone."""
    store.run("delete_job", {"job_id": job_id, "owner": owner})


def expire_chunks(
    store: JobStore, job_id: str, error: ItemError, *, cursor: int = 0, count: int = _CHUNK_BATCH
) -> int:
    """Expire some chunks of a canceled or overdue job; return the cursor of the rest, 0 for none."""
    with store_errors():
        cursor, payloads = store.redis.hscan(job_key(job_id, "chunks"), cursor, count=count)
    if payloads:
        expired = [_given_up(job_id, int(start), payload, error) for start, payload in payloads.items()]
        args = {"job_id": job_id, "status": error.status, "chunks": [chunk for chunk, _ in expired]}
        store.run("expire_chunks", args, [payload for _, written in expired for payload in written])
    return int(cursor)


def _given_up(
    job_id: str, start: int, payload: bytes, error: ItemError
) -> tuple[dict[str, Any], tuple[bytes, bytes]]:
    """Return what the script needs of a chunk, and the results and retryable texts that it stores."""
    chunk = decode_chunk(job_id, start, payload)
    result = ChunkResult.given_up(chunk, error, attempts=0)
    counts, retryable = result.counts, result.retryable
    args = {
        "start": start,
        "bytes": len(payload),
        "items": counts.total,
        "cost": chunk.cost,
        "failed": counts.failed,
        "counters": result.counters,
        "model": "",
        "tallies": count(chunk.items, result.outcomes),
        "usage": Usage.of(result).counts,
    }
    return args, (encode_results(result), encode_chunk(retryable) if retryable else b"")
