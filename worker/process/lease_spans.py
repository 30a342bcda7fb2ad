"""The spans of a lease: its own, and for each traced request in it how long it waited and how it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from tasks.store.leases import Lease, LeasedChunk
from tasks.tracing import trace
from tasks.tracing.span import NO_SPAN
from tasks.vocabulary.chunks import ChunkRef, ChunkResult, code_of
from tasks.vocabulary.verdicts import Scored

Request = tuple[str, str]  # the traceparent of an admission, and the job


class LeaseSpans:
    """Traces one lease. Use it as a context manager around what is done with the lease.

    A request gets one span of each kind, however many of its chunks ride in the lease.
    """

    def __init__(self, held: Lease, begun_ns: int) -> None:
        """`begun_ns` is when the child asked for the lease, in ns since the epoch."""
        self._held = held
        self._begun_ns = begun_ns
        self._span = NO_SPAN
        self._requests: dict[Request, list[LeasedChunk]] = {}
        self._stored_ns: dict[Request, int] = {}  # the first of its chunks

    def __enter__(self) -> Self:
        """Begin the span of the lease, and end those of the waits."""
        if trace.enabled():
            for leased in self._held.chunks:
                if found := trace.read_stamp(leased.chunk.trace):
                    self._add(leased, *found)
        if self._requests:
            self._leased_ns = time.time_ns()
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """End the span of the lease, as a failed one if there is an error."""
        self._span.__exit__(kind, error, where)

    def fail(self, code: str) -> None:
        """Mark the lease as failed."""
        self._span.fail(code)

    def written(self, results: Mapping[ChunkRef, ChunkResult]) -> None:
        """End the spans of the outcomes: these are written."""
        now = time.time_ns() if self._requests else 0
        for (parent, job_id), chunks in self._requests.items():
            done = [leased for leased in chunks if leased.ref in results]
            if done:
                ended = _ended([results[leased.ref] for leased in done])
                attributes = self._about(job_id, done) | ended
                trace.record("outcome", parent, (self._leased_ns, now), self._span, **attributes)

    def _add(self, leased: LeasedChunk, parent: str, stored_ns: int) -> None:
        request = (parent, leased.ref.job_id)
        self._requests.setdefault(request, []).append(leased)
        self._stored_ns[request] = min(stored_ns, self._stored_ns.get(request, stored_ns))

    def _begin(self) -> None:
        chunks = self._held.chunks
        self._span = trace.batch([parent for parent, _ in self._requests], self._begun_ns)
        self._span.set(
            model=self._held.queue.model,
            queue_class=str(self._held.queue.queue_class),
            chunks=len(chunks),
            items=_items(chunks),
        )
        for request, riding in self._requests.items():
            parent, job_id = request
            times = (self._stored_ns[request], self._leased_ns)
            trace.record("wait", parent, times, self._span, **self._about(job_id, riding))

    def _about(self, job_id: str, chunks: Sequence[LeasedChunk]) -> dict[str, str | int]:
        return {
            "job_id": job_id,
            "model": self._held.queue.model,
            "queue_class": str(self._held.queue.queue_class),
            "items": _items(chunks),
            "attempts": max(leased.attempts for leased in chunks),
        }


def _items(chunks: Iterable[LeasedChunk]) -> int:
    return sum(len(leased.chunk.items) for leased in chunks)


def _ended(results: Sequence[ChunkResult]) -> dict[str, str | int]:
    """Return the tokens that the model read, and of items that failed the number and the commonest error."""
    outcomes = [outcome for result in results for outcome in result.outcomes]
    errors = Counter(code_of(outcome) for outcome in outcomes if not isinstance(outcome, Scored))
    tokens = sum(verdict.tokens for result in results for verdict in result.verdicts)
    if not errors:
        return {"tokens": tokens}
    return {"tokens": tokens, "failed_items": errors.total(), "error": errors.most_common(1)[0][0]}
