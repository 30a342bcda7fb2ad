"""A task for a Celery app of your own: it finishes when its job does, and holds no worker meanwhile."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from celery import Celery, Task

from sentiq.client import Sentiq
from sentiq.errors import SentiqError
from sentiq.job import Job
from sentiq.models import Item
from sentiq.retries import passes

_MAX_PAUSE_S = 60
_MIN_PAUSE_S = 1.0
# Redis delivers a message again that waits for longer than its visibility timeout, an hour by default.
_LONGEST_PAUSE_S = 1800


def register(
    app: Celery,
    *,
    name: str = "sentiq.score",
    url: str | None = None,
    key: str | None = None,
    max_failures: int = 60,
) -> Task:
    """Add a task to the app that scores texts, and return it.

    It is called with a list of texts, or of objects with `text` and perhaps `id`, `data` and `aspects`, and
    with the terms of the job. It returns an object with `job_id`, `status`, `counts` and `results`, which are
    None with `results=False`, for jobs whose results are too large for the result backend.

    The address and the key are those of Sentiq(url, key), read where the task runs: no message has the key.
    While the service is away or full, the task comes back after the delay that the service asks for, up to
    `max_failures` times in a row, about an hour.
    """

    def score(self: Task, texts: Any = None, **options: Any) -> dict[str, Any]:
        return _Attempt(self, _client(os.getpid(), url, key), max_failures).run(texts, **options)

    # Only when it is acknowledged late, a message outlives its worker. The key keeps it from making two jobs.
    task: Task = app.task(score, name=name, bind=True, max_retries=None, acks_late=True)
    return task


@lru_cache(maxsize=8)
def _client(_process: int, url: str | None, key: str | None) -> Sentiq:
    """Return the client of this process: connections do not survive a fork."""
    return Sentiq(url, key, retry_for=0)


class _Attempt:
    """One run of the task: it submits, or looks at the job, and comes back unless the job has ended."""

    def __init__(self, task: Task, client: Sentiq, max_failures: int) -> None:
        self._task = task
        self._client = client
        self._max_failures = max_failures

    def run(
        self,
        texts: Any,
        *,
        job_id: str | None = None,
        results: bool = True,
        failures: int = 0,
        **terms: Any,
    ) -> dict[str, Any]:
        """Return the outcome, or raise Celery's Retry."""
        try:
            job = self._client.job(job_id) if job_id else self._submit(texts, terms)
            if job.finished:
                return _outcome(job, results=results)
        except SentiqError as error:
            if not passes(error) or failures >= self._max_failures:
                raise
            again = {**terms, "job_id": job_id, "results": results, "failures": failures + 1}
            args = [] if job_id else [texts]
            raise self._task.retry(args=args, kwargs=again, countdown=pause_of(error, failures)) from None
        # The message that comes back has no texts.
        again = {"job_id": job.id, "results": results}
        poll_s = (job.raw.get("poll_after_ms") or 0) / 1000
        raise self._task.retry(args=[], kwargs=again, countdown=max(_MIN_PAUSE_S, poll_s))

    def _submit(self, texts: Any, terms: Mapping[str, Any]) -> Job:
        """Submit with a key that a second delivery of the message has too."""
        return self._client.submit(_items(texts), idempotency_key=f"celery-{self._task.request.id}", **terms)


def _items(texts: Any) -> str | list[str | Item]:
    if isinstance(texts, str) or texts is None:
        return [texts or ""]
    return [Item(**each) if isinstance(each, dict) else each for each in texts]


def pause_of(error: SentiqError, failures: int) -> float:
    """Return the seconds after which a task that failed that often comes back."""
    asked = error.retry_after or min(_MAX_PAUSE_S, _MIN_PAUSE_S * 2**failures)
    return min(asked, _LONGEST_PAUSE_S)


def _outcome(job: Job, *, results: bool) -> dict[str, Any]:
    items: Sequence[dict[str, Any]] | None = list(job.raw_results()) if results else None
    return {"job_id": job.id, "status": job.status, "counts": dict(job.raw["counts"]), "results": items}
