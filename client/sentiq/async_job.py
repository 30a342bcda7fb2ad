"""A job of the service, for callers that await."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from sentiq.awaiting import iterate, run
from sentiq.downloads import Download
from sentiq.models import Body, JobEvent, Verdict
from sentiq.state import Habits, JobState, Progress


class AsyncJob(JobState):
    """The twin of Job."""

    def __init__(self, raw: Body, habits: Habits, http: httpx2.AsyncClient) -> None:
        """Take a job as the service sent it, and the connections of its client."""
        super().__init__(raw, habits)
        self._http = http

    async def refresh(self) -> AsyncJob:
        """Read the job again, and return it."""
        self.raw = await run(self._http, self._read())
        return self

    async def wait(self, timeout: float | None = None, *, progress: Progress = False) -> AsyncJob:
        """Return when the job has ended. `progress` may be a coroutine function."""
        self.raw = await run(self._http, self._waited(timeout, progress))
        return self

    def results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> AsyncIterator[Verdict]:
        """Yield results in input order up to the first unfinished item, or with `follow` as they finish."""
        return iterate(self._http, self._verdicts(Download(self.id, follow, cursor, status)))

    def raw_results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield the same as `results`, each as the service sent it."""
        return iterate(self._http, self._items(Download(self.id, follow, cursor, status)))

    async def page(self, *, cursor: str | None = None, limit: int = 1000) -> dict[str, Any]:
        """Return a page of results as the service sent it: `data`, `complete` and `next_cursor`."""
        return await run(self._http, self._part("/results", cursor=cursor, limit=str(limit)))

    def results_csv(
        self,
        *,
        columns: str | None = None,
        status: str | None = None,
        bom: bool = False,
        safe: bool = False,
        follow: bool = False,
    ) -> AsyncIterator[bytes]:
        """Yield the results as CSV, in blocks of bytes."""
        download = Download(self.id, follow, None, status)
        return iterate(self._http, self._rows(download, columns, bom=bom, safe=safe))

    async def summary(self, by: str | None = None) -> dict[str, Any]:
        """Return how many items have which outcome; `by` is the `summarize_by` of the job."""
        return await run(self._http, self._part("/summary", by=by))

    async def comparison(self) -> dict[str, Any]:
        """Return where the second model of `compare_with` differs."""
        return await run(self._http, self._part("/comparison"))

    async def deliveries(self) -> list[dict[str, Any]]:
        """Return the attempts to deliver the job's webhook."""
        return list((await run(self._http, self._part("/deliveries")))["data"])

    def events(self) -> AsyncIterator[JobEvent]:
        """Yield the job's events until it ends."""
        return iterate(self._http, self._events())

    async def cancel(self) -> AsyncJob:
        """Stop scoring the job, and return it. What has finished keeps its results."""
        self.raw = await run(self._http, self._canceled())
        return self

    async def delete(self) -> None:
        """Delete the job with its texts and results."""
        await run(self._http, self._deleted())

    async def retry(self, *, idempotency_key: str | None = None) -> AsyncJob:
        """Submit the failed items that a retry could change as a new job, and return that."""
        return AsyncJob(await run(self._http, self._retried(idempotency_key)), self._habits, self._http)
