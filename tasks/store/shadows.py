"""The shadow of a job, as the job's record names it."""

from __future__ import annotations

from tasks.errors import SentiqError
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import Job


def drop(store: JobStore, job_id: str, code: str) -> None:
    """Note on a job, by the code of an error, why it has no shadow, or only a part of one."""
    store.run("drop_shadow", {"job_id": job_id, "code": code})


def find(store: JobStore, job: Job) -> Job | SentiqError | None:
    """Return the shadow of a job, or the error that says why it is gone; None if the job has none."""
    return store.jobs([job.shadow], job.terms.owner)[0] if job.shadow else None
