"""The client for callers that block."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, overload

from typing_extensions import Self, Unpack

from sentiq.job import Job
from sentiq.models import Item, ModelInfo, Terms, Verdict


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

        `key` is the API key, else SENTIQ_API_KEY; a service with AUTH=none needs none.
        A request fails after `timeout` seconds without a byte; it is repeated for `retry_for` seconds.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    @overload
    def score(self, texts: str, **terms: Unpack[Terms]) -> Verdict: ...  # type: ignore[overload-overlap]

    @overload
    def score(self, texts: Iterable[str | Item], **terms: Unpack[Terms]) -> Iterator[Verdict]: ...

    def score(self, texts: str | Iterable[str | Item], **terms: Unpack[Terms]) -> Verdict | Iterator[Verdict]:
        """Return the verdict on one text, or yield those on many, in their order.

        Many are read as they are needed and uploaded in batches, so memory stays flat.
        Raises NoVerdictError if a single text cannot be scored; of many, such a verdict has an `error`.
        """
        raise NotImplementedError

    def submit(
        self, texts: str | Iterable[str | Item], *, idempotency_key: str | None = None, **terms: Unpack[Terms]
    ) -> Job:
        """Submit one text or many as one job."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    def job(self, job_id: str) -> Job:
        """Return a job by its id."""
        raise NotImplementedError

    def jobs(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Iterator[Job]:
        """Yield your jobs, newest first, with one page in memory."""
        raise NotImplementedError

    def models(self) -> list[ModelInfo]:
        """Return the models, the default one first, and those that are retiring last."""
        raise NotImplementedError

    def info(self) -> dict[str, Any]:
        """Return the models, limits and options of the service."""
        raise NotImplementedError

    def queue(self) -> dict[str, Any]:
        """Return the backlog and the number of workers."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Return whether the service answers and takes jobs."""
        raise NotImplementedError

    def score_frame(
        self,
        frame: Any,
        column: str,
        *,
        label: str = "label",
        confidence: str = "confidence",
        score: str = "score",
        **terms: Unpack[Terms],
    ) -> Any:
        """Return a copy of a pandas DataFrame with the verdicts on the texts in `column`."""
        raise NotImplementedError
