"""Ends jobs before their work is done: cancels and deletes them, closes what is overdue."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import OPEN, PREFIX, UPLOADS, job_key, owner_jobs_key, tombstone_key
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import ItemError

# Children look that often whether their work was canceled, and have that long to finish it all the same.
CANCEL_GRACE_MS = 700
# Longer than any record can live: the longest deadline, the longest time of keeping, and a day.
TOMBSTONE_MS = 15 * 86_400_000

# So many chunks at once, so that neither Redis nor the loop of the caller is held up for long.
_AT_ONCE = 100


def cancel_job(store: JobStore, job_id: str, patience_s: float = math.inf) -> bool:
    """Cancel a job: what nobody has leased is closed at once, the rest soon. False when it was over.

    Of a very large job as much is closed as can be in so many seconds; calling again goes on.
    """
    end = time.monotonic() + patience_s
    # Without workers there is nobody to wait for, nor a reconciler to close what a dead child holds.
    grace_ms = CANCEL_GRACE_MS if store.models() else 0
    keys = [job_key(job_id), OPEN, UPLOADS]
    if not store.run("cancel_job", keys, [PREFIX, job_id, grace_ms]):
        return False
    cursor, first = 0, True
    while (cursor or first) and time.monotonic() < end:
        cursor, first = expire_chunks(store, job_id, ItemError.CANCELED, cursor=cursor), False
    return True


def delete_job(store: JobStore, job_id: str, owner: str) -> None:
    """Erase a job with its texts and results. What children hold of it they find gone."""
    keys = [job_key(job_id), tombstone_key(job_id), OPEN, UPLOADS, owner_jobs_key(owner)]
    store.run("delete_job", keys, [PREFIX, job_id, TOMBSTONE_MS])


def expire_chunks(
    store: JobStore, job_id: str, error: ItemError, *, cursor: int = 0, count: int = _AT_ONCE
) -> int:
    """Give up some chunks of a canceled or overdue job; return the cursor of the rest, 0 if there is none."""
    with store_errors():
        cursor, payloads = store.redis.hscan(job_key(job_id, "in"), cursor, count=count)
    if payloads:
        keys = [job_key(job_id, part) for part in ("", "in", "out", "tokens", "order", "kept")]
        args = [arg for start, raw in payloads.items() for arg in _given_up(job_id, int(start), raw, error)]
        store.run("expire_chunks", keys, [PREFIX, job_id, error.status, *args])
    return int(cursor)


def _given_up(job_id: str, start: int, payload: bytes, error: ItemError) -> Iterator[Any]:
    """What the script asks of a chunk."""
    chunk = Chunk.decode(job_id, start, payload)
    result = ChunkResult.given_up(chunk, error, attempts=0)
    kept = result.kept
    yield from (start, len(payload), len(chunk.items), chunk.cost, result.counts.failed)
    yield from (result.encode(), kept.encode() if kept else "", to_json(result.counters))
