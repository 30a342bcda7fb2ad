"""Ends jobs before their work is done: cancels and deletes them, closes what is overdue."""

from __future__ import annotations

import math
import time

from tasks.chunks import Chunk, ChunkResult
from tasks.items import ItemError
from tasks.jobs import QueueClass
from tasks.leases import Guard, close
from tasks.ledger import Ledger
from tasks.redis_client import ledger_errors
from tasks.refs import OPEN, PREFIX, UPLOADS, Lease, Ref, job_key, jobs_of, tombstone

# Children look that often whether their work was canceled, and have that long to finish it all the same.
CANCEL_GRACE_MS = 700
# Longer than any record can live: the longest deadline, the longest time of keeping, and a day.
TOMBSTONE_MS = 15 * 86_400_000

# So many chunks at once, so that neither Redis nor the loop of the caller is held up for long.
_AT_ONCE = 100


def cancel(ledger: Ledger, job_id: str, patience_s: float = math.inf) -> bool:
    """Cancel a job: what nobody has leased is closed at once, the rest soon. False when it was over.

    Of a very large job as much is closed as can be in so many seconds; calling again goes on.
    """
    end = time.monotonic() + patience_s
    # Without workers there is nobody to wait for, nor a reconciler to close what a dead child holds.
    grace_ms = CANCEL_GRACE_MS if ledger.models() else 0
    keys = [job_key(job_id), OPEN, UPLOADS]
    if not ledger.run("cancel", keys, [PREFIX, job_id, grace_ms]):
        return False
    cursor, first = 0, True
    while (cursor or first) and time.monotonic() < end:
        cursor, first = close_items(ledger, job_id, ItemError.CANCELED, "canceled", cursor=cursor), False
    return True


def delete(ledger: Ledger, job_id: str, owner: str) -> None:
    """Erase a job with its texts and results. What children hold of it they find gone."""
    keys = [job_key(job_id), tombstone(job_id), OPEN, UPLOADS, jobs_of(owner)]
    ledger.run("delete", keys, [PREFIX, job_id, TOMBSTONE_MS])


def close_items(  # noqa: PLR0913  a scan needs to be told all of it
    ledger: Ledger, job_id: str, error: ItemError, guard: Guard, *, cursor: int = 0, count: int = _AT_ONCE
) -> int:
    """Give up some unfinished chunks of a job if `guard` holds; return the cursor of the rest, 0 if none."""
    with ledger_errors():
        cursor, payloads = ledger.redis.hscan(job_key(job_id, "in"), cursor, count=count)
        pipe = ledger.redis.pipeline(transaction=False)
        for start, payload in payloads.items():
            chunk = Chunk.decode(job_id, int(start), payload)
            ref = Ref.of(chunk)
            result = ChunkResult.given_up(chunk, error, ref.attempts)
            close(
                ledger,
                ref,
                result,
                guard,
                Lease(QueueClass.BULK, "", 0, [ref], [chunk]),
                seen=payload,
                pipe=pipe,
            )
        pipe.execute()
    return int(cursor)
