"""What a child does to the ledger: lease chunks, keep them, write what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import redis
from pydantic_core import to_json

from tasks.errors import LeaseCanceledError, LeaseLostError
from tasks.store.connection import ledger_errors
from tasks.store.jobs import Ledger
from tasks.store.keys import PREFIX, Lease, Ref, job_key, leased, leases_of, pending
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.jobs import QueueClass

Guard = Literal["token", "lapsed", "dead"]
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Holder:
    """A child that leases: the worker it belongs to, its pid, and how many children that worker has."""

    worker: str
    pid: int
    siblings: int


def lease(ledger: Ledger, queue_class: QueueClass, holder: Holder, budget: int) -> Lease | None:
    """Lease the oldest pending chunks of a class, up to `budget` code points; None if none is pending."""
    keys = [pending(queue_class), leased(queue_class), PREFIX + "fence", leases_of(holder.worker)]
    least = min(budget, ledger.settings.chunk_chars)
    args = [PREFIX, holder.pid, _lease_ms(ledger), budget, least, holder.siblings]
    answer = ledger.run("lease_chunks", keys, args)
    if not answer:
        return None
    token, refs, payloads = answer[0], list(map(Ref.parse, answer[1::3])), answer[2::3]
    chunks = [
        Chunk.decode(ref.job_id, ref.start, payload) for ref, payload in zip(refs, payloads, strict=True)
    ]
    requests = [request.decode() for request in answer[3::3]]
    return Lease(queue_class, holder.worker, token, refs, chunks, requests)


def renew(ledger: Ledger, held: Lease) -> None:
    """Keep a lease for its full time again.

    Raises LeaseLostError when none of it is left, LeaseCanceledError when all that is left is canceled.
    """
    args = [PREFIX, held.token, _lease_ms(ledger), *map(str, held.refs)]
    left, canceled = ledger.run("renew_lease", [leased(held.queue_class)], args)
    if not left:
        raise LeaseLostError(str(held.token))
    if left == canceled:
        raise LeaseCanceledError(str(held.token))


def finish(
    ledger: Ledger,
    held: Lease,
    results: Sequence[ChunkResult],
    model: dict[str, str],
    figures: Mapping[str, int] = _NOTHING,
) -> int:
    """Write the outcomes of a lease in one round trip; return how many chunks were still its own.

    `figures` are counted with the first of its chunks.
    """
    with ledger_errors():
        pipe = ledger.redis.pipeline(transaction=False)
        for ref, result in zip(held.refs, results, strict=True):
            close(ledger, ref, result, "token", held, model=model, figures=figures, pipe=pipe)
            figures = _NOTHING
        return sum(pipe.execute())


def close(  # noqa: PLR0913  each argument is told to the script
    ledger: Ledger,
    ref: Ref,
    result: ChunkResult,
    guard: Guard,
    held: Lease,
    *,
    model: dict[str, str] | None = None,
    figures: Mapping[str, int] = _NOTHING,
    pipe: redis.Redis | None = None,
) -> Any:
    """Write the outcomes of one chunk if `guard` holds; the answer is 1 when written, 0 when it came late."""
    counts, kept = result.counts, result.kept
    keys = [
        job_key(ref.job_id),
        *(job_key(ref.job_id, part) for part in ("in", "out", "tokens")),
        *(leased(held.queue_class), leases_of(held.worker)),
    ]
    args = [
        *(PREFIX, ref.job_id, ref.start, str(ref), guard, held.token, counts.total, result.encode()),
        *(counts.succeeded, counts.failed, counts.timed_out, counts.canceled),
        to_json(model) if model else "",
        kept.encode() if kept else "",
        to_json(result.figures | dict(figures)),
    ]
    return ledger.run("complete_chunk", keys, args, pipe)


def _lease_ms(ledger: Ledger) -> int:
    return int(ledger.settings.lease_s * 1000)
