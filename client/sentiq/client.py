"""The client for callers that block."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

import httpx2
from typing_extensions import Self, Unpack

from sentiq.blocking import iterate, run
from sentiq.bodies import Chunks
from sentiq.connecting import base_url, options
from sentiq.frame import score_frame
from sentiq.job import Job
from sentiq.models import Item, ModelInfo, Terms, Verdict
from sentiq.scoring import discarded
from sentiq.service import Service, habits_of, upload_query

if TYPE_CHECKING:
    import pandas as pd


class Sentiq:
    """A client of one service. Threads may share it."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60,
        retry_for: float = 300,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        """Call the service at `url`, else SENTIQ_URL, else http://localhost:8000.

        `key` is the API key, None for SENTIQ_API_KEY; a service with AUTH=none needs none.
        A request fails after `timeout` seconds without a byte; it is repeated for `retry_for` seconds.
        """
        self.url = base_url(url)
        self._service = Service(habits_of(timeout, retry_for))
        self._http = httpx2.Client(**options(self.url, key, timeout, verify=verify))

    def __repr__(self) -> str:
        """Return the address, and never the key."""
        return f"Sentiq({self.url!r})"

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @overload
    def score(self, texts: str, **terms: Unpack[Terms]) -> Verdict: ...  # type: ignore[overload-overlap]

    @overload
    def score(self, texts: Iterable[str | Item], **terms: Unpack[Terms]) -> Iterator[Verdict]: ...

    def score(self, texts: str | Iterable[str | Item], **terms: Unpack[Terms]) -> Verdict | Iterator[Verdict]:
        """Return the verdict on one text, or yield those on many, in their order.

        Many are read as they are needed and uploaded in batches, so memory stays flat.
        Raises NoVerdictError if a single text cannot be scored; of many, such a verdict has an `error`.
        """
        if isinstance(texts, str):
            return run(self._http, self._service.one(texts, terms))
        return self._score_many(iter(texts), terms)

    def _score_many(self, texts: Iterator[str | Item], terms: Terms) -> Iterator[Verdict]:
        in_flight: deque[str] = deque()
        try:
            yield from iterate(self._http, self._service.many(terms, in_flight), texts)
        finally:
            for job_id in in_flight:  # of a caller that stopped early
                run(self._http, discarded(job_id, 0))

    def submit(
        self, texts: str | Iterable[str | Item], *, idempotency_key: str | None = None, **terms: Unpack[Terms]
    ) -> Job:
        """Submit one text or many as one job."""
        if isinstance(texts, str):
            return self._job(run(self._http, self._service.submitted(texts, idempotency_key, terms)))
        source = iter(texts)
        steps = self._service.submitted_many(source, idempotency_key, terms)
        return self._job(run(self._http, steps, source))

    def _job(self, raw: dict[str, Any]) -> Job:
        return Job(raw, self._service.habits, self._http)

    def upload(  # noqa: PLR0913  the query of the call
        self,
        chunks: bytes | Iterable[bytes],
        *,
        content_type: str = "application/x-ndjson",
        idempotency_key: str | None = None,
        from_index: int | None = None,
        text_column: str | None = None,
        strict: bool = False,
        **terms: Unpack[Terms],
    ) -> Job:
        """Upload lines or rows, as bytes, as one job; they are compressed on the way.

        An iterable that begins anew each time is sent again after a fault. An iterator cannot be:
        then the error is an UploadError, and `recorded` says where to resume.
        """
        query = upload_query(terms, text_column=text_column, strict=strict, from_index=from_index)
        steps = self._service.uploaded(Chunks(chunks), content_type, idempotency_key, query)
        return self._job(run(self._http, steps))

    def recorded(
        self,
        idempotency_key: str,
        *,
        content_type: str = "application/x-ndjson",
        text_column: str | None = None,
        strict: bool = False,
        **terms: Unpack[Terms],
    ) -> int:
        """Return how many items of an open upload are recorded; the terms are those of the upload."""
        query = upload_query(terms, text_column=text_column, strict=strict)
        return run(self._http, self._service.recorded(content_type, idempotency_key, query))

    def job(self, job_id: str) -> Job:
        """Return a job by its id."""
        return self._job(run(self._http, self._service.job(job_id)))

    def jobs(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Iterator[Job]:
        """Yield your jobs, newest first, with one page in memory."""
        flow = self._service.jobs(status, created_after, created_before, metadata)
        return map(self._job, iterate(self._http, flow))

    def models(self) -> list[ModelInfo]:
        """Return the models, the default one first, and those that are retiring last."""
        return run(self._http, self._service.models())

    def info(self) -> dict[str, Any]:
        """Return the models, limits and options of the service."""
        return run(self._http, self._service.read("/v1/info"))

    def queue(self) -> dict[str, Any]:
        """Return the backlog and the number of workers."""
        return run(self._http, self._service.read("/v1/queue"))

    def usage(
        self, *, since: str | None = None, until: str | None = None, by: str | None = None
    ) -> dict[str, Any]:
        """Return what your jobs used from one day to another, such as `2026-11-27`, `by` day or model.

        Raises IncompatibleServiceError if the service does not count that.
        """
        return run(self._http, self._service.usage(since, until, by))

    def ready(self) -> bool:
        """Return whether the service answers and takes jobs."""
        return run(self._http, self._service.ready())

    def score_frame(  # noqa: PLR0913  one name for each column
        self,
        frame: pd.DataFrame,
        column: str,
        *,
        label: str = "label",
        confidence: str = "confidence",
        score: str = "score",
        idempotency_key: str | None = None,
        **terms: Unpack[Terms],
    ) -> pd.DataFrame:
        """Return a copy of a pandas DataFrame with the verdicts on the texts in `column`; see `frame.py`."""
        names = {"label": label, "confidence": confidence, "score": score}
        return score_frame(self, frame, column, **names, idempotency_key=idempotency_key, **terms)
