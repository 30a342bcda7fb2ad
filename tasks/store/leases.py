"""What a child does to the job store: lease chunks, renew the lease, finish with the outcomes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

from pydantic_core import to_json

from tasks.errors import LeaseCanceledError, LeaseLostError, WritesRefusedError
from tasks.store.counters import code_points_read
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkRef, ChunkResult
from tasks.vocabulary.codec import decode_chunk, encode_chunk, encode_results
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.job_format import READABLE
from tasks.vocabulary.jobs import Queue, QueueClass
from tasks.vocabulary.tallies import count, count_aspects
from tasks.vocabulary.usage import Usage, shares_of_time

# Why a caller may complete a chunk: it holds the lease, the lease has ended, or the child that held it has
# died.
Guard = Literal["token", "lapsed", "dead"]
# Between two tries to write outcomes while Redis takes no writes. Shorter than the time after which the
# reconciler takes the leases that have ended meanwhile.
_REFUSED_PAUSE_S = 0.25
_NO_COUNTERS: Mapping[str, int] = MappingProxyType({})
# Sick children may return a chunk this often without an attempt being counted. After that, the chunk is split
# into its items, and each lease counts as an attempt.
_FREE_RETURNS = 2


class ReturnReason(StrEnum):
    """Why a child returns a chunk of its lease. The names are labels of a counter."""

    SICK = "sick"  # its engine failed
    TIME = "time"  # the lease was longer than it seemed


@dataclass(frozen=True, slots=True)
class Holder:
    """A child that leases: its worker's name, its pid, that worker's children, and the model it serves."""

    worker: str
    pid: int
    siblings: int
    model: str


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """A chunk under a lease. `request_id` is that of the HTTP request it came with, for the log."""

    ref: ChunkRef
    chunk: Chunk
    request_id: str = ""

    @property
    def attempts(self) -> int:
        """Return how often the chunk was leased, this lease included."""
        return self.ref.attempts


@dataclass(frozen=True, slots=True)
class Lease:
    """A child's right to some chunks for a time; its fencing `token` shuts out earlier holders.

    `pid` is that of the child; 0 where a parent acts for one that is gone.
    """

    queue: Queue
    worker: str
    token: int
    chunks: Sequence[LeasedChunk]
    pid: int = 0

    @property
    def refs(self) -> list[ChunkRef]:
        """Return the refs of its chunks."""
        return [leased.ref for leased in self.chunks]


def lease(
    store: JobStore,
    holder: Holder,
    budget: int,
    formats: Sequence[int] = READABLE,
    *,
    woken: bool = False,
) -> Lease | None:
    """Lease pending chunks of the holder's model, up to `budget` code points; None without any.

    All are of one class: interactive while such chunks are pending, but for the floor of bulk. Owners have
    turns by cost and weight, and of each the oldest chunks go first. Chunks of jobs in other formats than
    these are left for other children. `woken`: the child has just taken a wake-up. One that gets a lease has
    to lease again, or to call `Wakeups.leave`.
    """
    args = {
        "model": holder.model,
        "worker": holder.worker,
        "pid": holder.pid,
        "lease_ms": _lease_ms(store),
        "budget": budget,
        "min_budget": min(budget, store.settings.chunk_chars),
        "siblings": holder.siblings,
        "formats": formats,
        "bulk_floor": store.settings.bulk_floor,
        "woken": woken or None,
        "max_attempts": store.settings.max_attempts,
    }
    while (answer := store.run("lease_chunks", args)) == [b"again"]:
        args["woken"] = None
    if not answer:
        return None
    token, queue_class, *leased = answer
    queue = Queue(holder.model, QueueClass(queue_class.decode()))
    return Lease(queue, holder.worker, token, [_leased_chunk(*each) for each in leased], holder.pid)


def renew(store: JobStore, held: Lease) -> None:
    """Renew a lease for its full time.

    Raises LeaseLostError when none of it is left, LeaseCanceledError when all that is left is canceled.
    While Redis takes no writes, nobody else can take the chunks either: the lease is kept as it is.
    """
    args = {
        "queue": str(held.queue),
        "token": held.token,
        "lease_ms": _lease_ms(store),
        "refs": list(map(str, held.refs)),
        "child": f"{held.worker} {held.pid}",
    }
    try:
        left, canceled = store.run("renew_lease", args)
    except WritesRefusedError:
        return
    if not left:
        raise LeaseLostError(str(held.token))
    if left == canceled:
        raise LeaseCanceledError(str(held.token))


def finish(
    store: JobStore,
    held: Lease,
    results: Sequence[ChunkResult],
    model: dict[str, str],
    counters: Mapping[str, int] = _NO_COUNTERS,
) -> int:
    """Write the outcomes of a lease in one round trip; return how many chunks were still its own.

    `counters`, among them what the model read for all of them, are added with the first of its chunks. While
    Redis takes no writes, nobody else can take the chunks: try again for as long as a lease lasts, so that
    scored work is not thrown away.
    """
    end = time.monotonic() + store.settings.lease_s
    while True:
        try:
            return _write(store, held, results, model, counters)
        except WritesRefusedError:
            if time.monotonic() > end:
                raise
        time.sleep(_REFUSED_PAUSE_S)


def _write(
    store: JobStore,
    held: Lease,
    results: Sequence[ChunkResult],
    model: dict[str, str],
    counters: Mapping[str, int],
) -> int:
    times = list(shares_of_time(results, counters.get("forward_s:sum", 0)))
    shares = [counters, *[_NO_COUNTERS] * (len(results) - 1)]

    def fill(pipe: Any) -> None:
        for leased, result, share, model_ms in zip(held.chunks, results, shares, times, strict=True):
            given: dict[str, Any] = {"model": model, "counters": share, "model_ms": model_ms}
            complete_chunk(store, held, leased.ref, result, "token", **given, pipe=pipe)

    return sum(store.scripts.pipelined(fill)) if results else 0


def return_chunk(
    store: JobStore, held: Lease, leased: LeasedChunk, reason: ReturnReason, *, split: bool = False
) -> int:
    """Make a chunk of a lease pending again, uncounted; return how many chunks it became, 0 if it came late.

    `split`: as one chunk for each item. A sick child's chunk is split when it has no further free return; a
    lease of it counts from then on, and after the last attempt it is given up.
    """
    ref, sick = leased.ref, reason is ReturnReason.SICK
    counted = sick and ref.returns >= _FREE_RETURNS
    attempts, returns = ref.attempts - (not counted), min(ref.returns + sick, _FREE_RETURNS)
    if attempts >= store.settings.max_attempts:
        result = ChunkResult.given_up(leased.chunk, ItemError.INFERENCE_FAILED, attempts)
        complete_chunk(store, held, ref, result, "token")
        return 0
    split = split or returns == _FREE_RETURNS
    parts = leased.chunk.split() if split else [leased.chunk]
    args = {
        "job_id": ref.job_id,
        "queue": str(held.queue),
        "worker": held.worker,
        "start": ref.start,
        "ref": str(ref),
        "token": held.token,
        "reason": reason,
        "ahead": None if counted else True,
        "parts": [(part.start, str(ChunkRef.of(part, attempts, returns))) for part in parts],
    }
    returned = store.run("return_chunk", args, [encode_chunk(part) for part in parts] if split else [])
    return len(parts) if returned else 0


def complete_chunk(  # noqa: PLR0913  the script takes each of them
    store: JobStore,
    held: Lease,
    ref: ChunkRef,
    result: ChunkResult,
    guard: Guard,
    *,
    model: dict[str, str] | None = None,
    counters: Mapping[str, int] = _NO_COUNTERS,
    model_ms: int = 0,
    pipe: Any = None,
) -> Any:
    """Write the outcomes of one chunk if `guard` holds; return 1 when written, 0 when it came late.

    `model_ms` is the time that the model took for it. With a `pipe` of `Scripts.pipelined` it is only added.
    """
    counts, retryable = result.counts, result.retryable
    computed = {"items": result.computed, "cost": code_points_read(counters)}
    args = {
        "job_id": ref.job_id,
        "queue": str(held.queue),
        "worker": held.worker,
        "ref": str(ref),
        "guard": guard,
        "token": held.token,
        "chunk": {
            "start": ref.start,
            "items": counts.total,
            "cost": ref.cost,
            "counters": result.counters | dict(counters),
            "model": result.model or "",
            "tallies": count(result.chunk.items, result.outcomes),
            "aspects": count_aspects(result),
            "usage": Usage.of(result, model_ms).counts,
        },
        "counts": {
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "timed_out": counts.timed_out,
            "canceled": counts.canceled,
        },
        "model": to_json(model) if model else None,
        "computed": computed if guard == "token" else None,
    }
    payloads = [encode_results(result), encode_chunk(retryable) if retryable else b""]
    if pipe is not None:
        return store.scripts.add(pipe, "complete_chunk", args, payloads)
    return store.run("complete_chunk", args, payloads)


def _leased_chunk(ref: bytes, payload: bytes, request_id: bytes) -> LeasedChunk:
    parsed = ChunkRef.parse(ref)
    return LeasedChunk(parsed, decode_chunk(parsed.job_id, parsed.start, payload), request_id.decode())


def _lease_ms(store: JobStore) -> int:
    return int(store.settings.lease_s * 1000)
