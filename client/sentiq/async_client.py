"""The client for callers that await."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, overload

import anyio
import httpx2
from typing_extensions import Self, Unpack

from sentiq.async_job import AsyncJob
from sentiq.awaiting import iterate, run
from sentiq.bodies import Chunks, aiter_of
from sentiq.connecting import base_url, options
from sentiq.models import Item, ModelInfo, Terms, Verdict
from sentiq.scoring import discarded
from sentiq.service import Service, habits_of, upload_query

AnyTexts = Iterable["str | Item"] | AsyncIterable["str | Item"]


class AsyncSentiq:
    """The twin of Sentiq, with `await` and `async for`. Tasks of one event loop may share it."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 60,
        retry_for: float = 300,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        """Take what Sentiq takes."""
        self.url = base_url(url)
        self._service = Service(habits_of(timeout, retry_for))
        self._http = httpx2.AsyncClient(**options(self.url, key, timeout, verify=verify))

    def __repr__(self) -> str:
        """Return the address, and never the key."""
        return f"AsyncSentiq({self.url!r})"

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @overload
    def score(self, texts: str, **terms: Unpack[Terms]) -> Awaitable[Verdict]: ...  # type: ignore[overload-overlap]

    @overload
    def score(self, texts: AnyTexts, **terms: Unpack[Terms]) -> AsyncIterator[Verdict]: ...

    def score(
        self, texts: str | AnyTexts, **terms: Unpack[Terms]
    ) -> Awaitable[Verdict] | AsyncIterator[Verdict]:
        """Return the verdict on one text, or yield those on many, in their order.

        `await client.score("…")`, `async for verdict in client.score(texts)`. An iterable that blocks, blocks
        the event loop too.
        """
        if isinstance(texts, str):
            return run(self._http, self._service.one(texts, terms))
        return self._score_many(aiter_of(texts), terms)

    async def _score_many(self, texts: AsyncIterator[Any], terms: Terms) -> AsyncIterator[Verdict]:
        in_flight: deque[str] = deque()
        verdicts = iterate(self._http, self._service.many(terms, in_flight), texts)
        try:
            async for verdict in verdicts:
                yield verdict
        finally:
            with anyio.CancelScope(shield=True):
                await verdicts.aclose()
                for job_id in in_flight:  # of a caller that stopped early
                    await run(self._http, discarded(job_id, 0))

    async def submit(
        self, texts: str | AnyTexts, *, idempotency_key: str | None = None, **terms: Unpack[Terms]
    ) -> AsyncJob:
        """Submit one text or many as one job."""
        if isinstance(texts, str):
            return self._job(await run(self._http, self._service.submitted(texts, idempotency_key, terms)))
        source = aiter_of(texts)
        steps = self._service.submitted_many(source, idempotency_key, terms)
        return self._job(await run(self._http, steps, source))

    def _job(self, raw: dict[str, Any]) -> AsyncJob:
        return AsyncJob(raw, self._service.habits, self._http)

    async def upload(  # noqa: PLR0913  the query of the call
        self,
        chunks: bytes | Iterable[bytes] | AsyncIterable[bytes],
        *,
        content_type: str = "application/x-ndjson",
        idempotency_key: str | None = None,
        from_index: int | None = None,
        text_column: str | None = None,
        strict: bool = False,
        **terms: Unpack[Terms],
    ) -> AsyncJob:
        """Upload lines or rows, as bytes, as one job; see Sentiq.upload."""
        query = upload_query(terms, text_column=text_column, strict=strict, from_index=from_index)
        steps = self._service.uploaded(Chunks(chunks), content_type, idempotency_key, query)
        return self._job(await run(self._http, steps))

    async def recorded(
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
        return await run(self._http, self._service.recorded(content_type, idempotency_key, query))

    async def job(self, job_id: str) -> AsyncJob:
        """Return a job by its id."""
        return self._job(await run(self._http, self._service.job(job_id)))

    async def jobs(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> AsyncIterator[AsyncJob]:
        """Yield your jobs, newest first, with one page in memory."""
        flow = self._service.jobs(status, created_after, created_before, metadata)
        async for raw in iterate(self._http, flow):
            yield self._job(raw)

    async def models(self) -> list[ModelInfo]:
        """Return the models, the default one first, and those that are retiring last."""
        return await run(self._http, self._service.models())

    async def info(self) -> dict[str, Any]:
        """Return the models, limits and options of the service."""
        return await run(self._http, self._service.read("/v1/info"))

    async def queue(self) -> dict[str, Any]:
        """Return the backlog and the number of workers."""
        return await run(self._http, self._service.read("/v1/queue"))

    async def usage(
        self, *, since: str | None = None, until: str | None = None, by: str | None = None
    ) -> dict[str, Any]:
        """Return what your jobs used from one day to another, such as `2026-11-27`, `by` day or model.

        Raises IncompatibleServiceError if the service does not count that.
        """
        return await run(self._http, self._service.usage(since, until, by))

    async def ready(self) -> bool:
        """Return whether the service answers and takes jobs."""
        return await run(self._http, self._service.ready())
