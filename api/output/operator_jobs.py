"""Jobs as operators see them: whose, how far, how they failed; never what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from api.schemas import operator_jobs as bodies
from api.schemas.queries import FailuresQuery, OperatorJobsQuery
from api.schemas.times import rfc3339
from tasks.store.all_jobs import JobFilter
from tasks.vocabulary.jobs import Job


def job_filter(query: OperatorJobsQuery) -> JobFilter:
    """Return which jobs a query asks for."""
    after, before = _ms(query.created_after), _ms(query.created_before)
    return JobFilter(query.owner, query.status, query.model, query.priority, after, before)


def failed_filter(asked: FailuresQuery | bodies.ReplayIn) -> JobFilter:
    """Return which jobs with failed items are asked for."""
    after, before = _ms(asked.created_after), _ms(asked.created_before)
    return JobFilter(
        asked.owner, model=asked.model, created_after_ms=after, created_before_ms=before, failed=True
    )


def operator_job_view(job: Job, name: str | None, errors: Mapping[str, int]) -> bodies.OperatorJob:
    """Return the body of a job of any owner; `errors` are numbers of its items by code."""
    counts = job.counts
    return {
        "id": job.id,
        "object": "job",
        "owner": job.terms.owner,
        "name": name,
        "status": job.status,
        "priority": job.queue.queue_class,
        "model_name": job.queue.model,
        "created_at": rfc3339(job.created_ms),
        "started_at": rfc3339(job.started_ms),
        "finished_at": rfc3339(job.finished_ms),
        "expires_at": rfc3339(job.expires_ms),
        "counts": {
            "total": counts.total,
            "pending": counts.pending,
            "succeeded": counts.succeeded,
            "failed": counts.failed,
            "canceled": counts.canceled,
            "timed_out": counts.timed_out,
        },
        "errors": dict(errors),
        "uploading": job.uploading,
        "retry_of": job.terms.retry_of,
        "error": job.error,
    }


def sum_of_errors(jobs: Sequence[bodies.OperatorJob]) -> dict[str, int]:
    """Return the items of all jobs by code."""
    total = Counter[str]()
    for job in jobs:
        total.update(job["errors"])
    return dict(sorted(total.items()))


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
