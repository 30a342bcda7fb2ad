"""Jobs as operators see them: whose, how far, how they failed; never what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from api.schemas import operator_jobs as bodies
from api.schemas.times import rfc3339
from tasks.vocabulary.jobs import Job


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
