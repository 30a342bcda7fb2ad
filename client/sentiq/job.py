"""A job of the service, for callers that block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from sentiq.blocking import iterate, run
from sentiq.downloads import Download
from sentiq.models import Body, JobEvent, Verdict
from sentiq.state import Habits, JobState, Progress


class Job(JobState):
    """A job as it was when it was read last; `raw` is the whole body."""

    def __init__(self, raw: Body, habits: Habits, http: httpx2.Client) -> None:
        """Take a job as the service sent it, and the connections of its client."""
        super().__init__(raw, habits)
        self._http = http

    def refresh(self) -> Job:
        """Read the job again, and return it."""
        self.raw = run(self._http, self._read())
        return self

    def wait(self, timeout: float | None = None, *, progress: Progress = False) -> Job:
        """Return when the job has ended.

        `progress` is called with the counts when they change; True writes them to stderr.
        Raises SentiqTimeoutError after `timeout` seconds, or what the service was then failing with.
        """
        self.raw = run(self._http, self._waited(timeout, progress))
        return self

    def results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> Iterator[Verdict]:
        """Yield the results in input order up to the first unfinished item, or with `follow` as they finish.

        A download that is cut off is resumed. `cursor` is a `next_cursor` of the service; `status` selects.
        """
        return iterate(self._http, self._verdicts(Download(self.id, follow, cursor, status)))

    def raw_results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the same as `results`, each as the service sent it."""
        return iterate(self._http, self._items(Download(self.id, follow, cursor, status)))

    def page(self, *, cursor: str | None = None, limit: int = 1000) -> dict[str, Any]:
        """Return a page of results as the service sent it: `data`, `complete` and `next_cursor`."""
        return run(self._http, self._part("/results", cursor=cursor, limit=str(limit)))

    def results_csv(
        self,
        *,
        columns: str | None = None,
        status: str | None = None,
        bom: bool = False,
        safe: bool = False,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """Yield the results as CSV, in blocks of bytes. A download that is cut off is resumed.

        With `follow` it cannot be: then SentiqConnectionError is raised.
        """
        download = Download(self.id, follow, None, status)
        return iterate(self._http, self._rows(download, columns, bom=bom, safe=safe))

    def summary(self, by: str | None = None) -> dict[str, Any]:
        """Return how many items have which outcome; `by` is the `summarize_by` of the job."""
        return run(self._http, self._part("/summary", by=by))

    def comparison(self) -> dict[str, Any]:
        """Return where the second model of `compare_with` differs."""
        return run(self._http, self._part("/comparison"))

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the attempts to deliver the job's webhook."""
        return list(run(self._http, self._part("/deliveries"))["data"])

    def events(self) -> Iterator[JobEvent]:
        """Yield the job's events until it ends."""
        return iterate(self._http, self._events())

    def cancel(self) -> Job:
        """Stop scoring the job, and return it. What has finished keeps its results."""
        self.raw = run(self._http, self._canceled())
        return self

    def delete(self) -> None:
        """Delete the job with its texts and results."""
        run(self._http, self._deleted())

    def retry(self, *, idempotency_key: str | None = None) -> Job:
        """Submit the failed items that a retry could change as a new job, and return that."""
        return Job(run(self._http, self._retried(idempotency_key)), self._habits, self._http)
