"""What a child does to the job store: lease chunks, keep them, write what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import redis
from pydantic_core import to_json

from tasks.errors import LeaseCanceledError, LeaseLostError
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import PREFIX, ChunkRef, Lease, job_key, leased_key, leases_key, pending_key
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


def lease(store: JobStore, queue_class: QueueClass, holder: Holder, budget: int) -> Lease | None:
    """Lease the oldest pending chunks of a class, up to `budget` code points; None if none is pending."""
    keys = [pending_key(queue_class), leased_key(queue_class), PREFIX + "fence", leases_key(holder.worker)]
    least = min(budget, store.settings.chunk_chars)
    args = [PREFIX, holder.pid, _lease_ms(store), budget, least, holder.siblings]
    answer = store.run("lease_chunks", keys, args)
    if not answer:
        return None
    token, refs, payloads = answer[0], list(map(ChunkRef.parse, answer[1::3])), answer[2::3]
    chunks = [
        Chunk.decode(ref.job_id, ref.start, payload) for ref, payload in zip(refs, payloads, strict=True)
    ]
    requests = [request.decode() for request in answer[3::3]]
    return Lease(queue_class, holder.worker, token, refs, chunks, requests)


def renew(store: JobStore, held: Lease) -> None:
    """Keep a lease for its full time again.

    Raises LeaseLostError when none of it is left, LeaseCanceledError when all that is left is canceled.
    """
    args = [PREFIX, held.token, _lease_ms(store), *map(str, held.refs)]
    left, canceled = store.run("renew_lease", [leased_key(held.queue_class)], args)
    if not left:
        raise LeaseLostError(str(held.token))
    if left == canceled:
        raise LeaseCanceledError(str(held.token))


def finish(
    store: JobStore,
    held: Lease,
    results: Sequence[ChunkResult],
    model: dict[str, str],
    counters: Mapping[str, int] = _NOTHING,
) -> int:
    """Write the outcomes of a lease in one round trip; return how many chunks were still its own.

    `counters` are counted with the first of its chunks.
    """
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for ref, result in zip(held.refs, results, strict=True):
            complete_chunk(store, ref, result, "token", held, model=model, counters=counters, pipe=pipe)
            counters = _NOTHING
        return sum(pipe.execute())


def complete_chunk(  # noqa: PLR0913  each argument is told to the script
    store: JobStore,
    ref: ChunkRef,
    result: ChunkResult,
    guard: Guard,
    held: Lease,
    *,
    model: dict[str, str] | None = None,
    counters: Mapping[str, int] = _NOTHING,
    pipe: redis.Redis | None = None,
) -> Any:
    """Write the outcomes of one chunk if `guard` holds; the answer is 1 when written, 0 when it came late."""
    counts, kept = result.counts, result.kept
    keys = [
        job_key(ref.job_id),
        *(job_key(ref.job_id, part) for part in ("in", "out", "tokens")),
        *(leased_key(held.queue_class), leases_key(held.worker)),
    ]
    args = [
        *(PREFIX, ref.job_id, ref.start, str(ref), guard, held.token, counts.total, result.encode()),
        *(counts.succeeded, counts.failed, counts.timed_out, counts.canceled),
        to_json(model) if model else "",
        kept.encode() if kept else "",
        to_json(result.counters | dict(counters)),
    ]
    return store.run("complete_chunk", keys, args, pipe)


def _lease_ms(store: JobStore) -> int:
    return int(store.settings.lease_s * 1000)
