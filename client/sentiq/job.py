"""A job of the service, for callers that block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sentiq.models import Body, Counts, JobEvent, Verdict

Progress = Callable[[Counts], None]


class Job:
    """A job as it was when it was read last; `raw` is the whole body."""

    raw: Body

    @property
    def id(self) -> str:
        """The id."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """`queued`, `running`, `canceling`, or how it ended."""
        raise NotImplementedError

    @property
    def counts(self) -> Counts:
        """The items by state."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether the job has ended."""
        raise NotImplementedError

    def refresh(self) -> Job:
        """Read the job again, and return it."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None, *, progress: bool | Progress = False) -> Job:
        """Return when the job has ended.

        `progress` is called with the counts each time they change; True writes them to stderr.
        Raises SentiqTimeoutError after `timeout` seconds.
        """
        raise NotImplementedError

    def results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> Iterator[Verdict]:
        """Yield the results in input order, or with `follow` as they finish."""
        raise NotImplementedError

    def raw_results(
        self, *, follow: bool = False, cursor: str | None = None, status: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the same as `results`, each as the service sent it."""
        raise NotImplementedError

    def results_csv(
        self,
        *,
        columns: str | None = None,
        status: str | None = None,
        bom: bool = False,
        safe: bool = False,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """Yield the results as CSV, in blocks of bytes."""
        raise NotImplementedError

    def summary(self, by: str | None = None) -> dict[str, Any]:
        """Return how many items have which outcome; `by` is the `summarize_by` of the job."""
        raise NotImplementedError

    def comparison(self) -> dict[str, Any]:
        """Return where the second model of `compare_with` differs."""
        raise NotImplementedError

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the attempts to deliver the job's webhook."""
        raise NotImplementedError

    def events(self) -> Iterator[JobEvent]:
        """Yield the job's events until it ends."""
        raise NotImplementedError

    def cancel(self) -> Job:
        """Stop scoring the job, and return it. What has finished keeps its results."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the job with its texts and results."""
        raise NotImplementedError

    def retry(self, *, idempotency_key: str | None = None) -> Job:
        """Submit the failed items that a retry could change as a new job, and return that."""
        raise NotImplementedError
