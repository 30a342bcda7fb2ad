"""What a submission returns, and how logs and traces name it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tasks.tracing.span import Span
from tasks.vocabulary.jobs import Job, Terms


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted job; `replayed` if an earlier request with the same idempotency key made it."""

    job: Job
    replayed: bool = False

    def describe(self, span: Span) -> None:
        """Say of an admission which job it was."""
        job = self.job
        span.set(job_id=job.id, model=job.queue.model, queue_class=str(job.queue.queue_class))
        span.set(items=job.counts.total, replayed=self.replayed)


def traced(terms: Terms, admission: Span) -> Terms:
    """Return the terms of a job with the place of its admission in a trace, if that is recorded."""
    return replace(terms, trace=admission.traceparent) if admission.traceparent else terms


def whose(owner: str) -> str:
    """Return who made a job, for the log: the id of a key is no secret."""
    return f"key {owner}" if owner else "no key"
