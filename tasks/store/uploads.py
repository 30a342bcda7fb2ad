"""Jobs that grow: chunks are added while their texts still come in, then the job is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.store.idempotency import REMEMBERED_MS, Key, place_of
from tasks.store.jobs import Ledger
from tasks.store.keys import PREFIX, UPLOADS, Ref, job_key, pending
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.jobs import JobError, QueueClass

# A job that grows and gets nothing for so long is sealed by the reconciler: whoever fed it is gone.
SILENCE_MS = 60_000


def reserve(ledger: Ledger, key: Key, job_id: str) -> str | None:
    """Take an idempotency key for a job that is about to come in; return the id of the job that has it."""
    remembered = ledger.run("reserve_idempotency_key", [key.place], [f"{key.mark} {job_id}", SILENCE_MS])
    return key.replays(remembered) if remembered else None


def append(ledger: Ledger, chunks: Sequence[Chunk], queue_class: QueueClass, key: Key | None) -> bool:
    """Add chunks; False when the job grows no more: it was canceled, deleted, overdue or silent too long.

    What was begun is not refused for want of time; StoreFullError tells that there is no memory for more.
    """
    ledger.headroom.check()
    job_id = chunks[0].job_id
    items = sum(len(chunk.items) for chunk in chunks)
    args: list[Any] = [job_id, items, SILENCE_MS, sum(chunk.cost for chunk in chunks)]
    for chunk in chunks:
        args += [chunk.start, str(Ref.of(chunk)), chunk.encode()]
    keys = [job_key(job_id), job_key(job_id, "in"), pending(queue_class), UPLOADS, place_of(key)]
    return bool(ledger.run("append_chunks", keys, args))


def seal(ledger: Ledger, job_id: str, key: Key | None = None, error: JobError | None = None) -> bool:
    """End the growth: the job is over with the last item that it has. False when it did not grow.

    A key whose body is whole is remembered with it; one whose body is not may be used again.
    """
    body = key.body or "" if key else ""
    args = [PREFIX, job_id, "", error or "", body, REMEMBERED_MS]
    return bool(ledger.run("close_upload", [job_key(job_id), UPLOADS, place_of(key)], args))


def seal_silent(ledger: Ledger, job_id: str) -> bool:
    """Seal a job that nobody feeds any more, and have it say so."""
    args = [PREFIX, job_id, "silent", JobError.UPLOAD_INCOMPLETE, "", 0]
    return bool(ledger.run("close_upload", [job_key(job_id), UPLOADS, ""], args))
