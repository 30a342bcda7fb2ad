"""Does for callers that await what the logic asks for."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import closing
from typing import Any, TypeVar

import anyio
import httpx2

from sentiq.connecting import fault_of
from sentiq.effects import Call, Effect, Emit, Flow, Pull, Read, Reply, Report, Send, Sleep, Steps
from sentiq.errors import SentiqError

T = TypeVar("T")
_END = object()


async def run(http: httpx2.AsyncClient, steps: Steps[T], source: AsyncIterator[Any] | None = None) -> T:
    """Run steps to their end; return what they return. `source` has the texts that they pull."""
    async with _Performer(http, source) as performer:
        with closing(steps):
            try:
                effect = next(steps)
                while True:
                    outcome, fault = await performer.perform(effect)
                    effect = steps.throw(fault) if fault else steps.send(outcome)
            except StopIteration as end:
                value: T = end.value
                return value


async def iterate(
    http: httpx2.AsyncClient, flow: Flow[T], source: AsyncIterator[Any] | None = None
) -> AsyncGenerator[T, None]:
    """Run a flow; yield what it emits. `source` has the texts that it pulls."""
    async with _Performer(http, source) as performer:
        with closing(flow):
            try:
                effect = next(flow)
                while True:
                    if isinstance(effect, Emit):
                        yield effect.value
                        effect = flow.send(None)
                    else:
                        outcome, fault = await performer.perform(effect)
                        effect = flow.throw(fault) if fault else flow.send(outcome)
            except StopIteration:
                return


class _Performer:
    """Performs one effect after the other; it has one open stream at most."""

    def __init__(self, http: httpx2.AsyncClient, source: AsyncIterator[Any] | None = None) -> None:
        self._http = http
        self._source = source
        self._response: httpx2.Response | None = None
        self._blocks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> _Performer:  # noqa: PYI034  private
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def perform(self, effect: Effect) -> tuple[Any, SentiqError | None]:
        """Return the outcome of an effect, or the fault of the connection."""
        if isinstance(effect, (Send, Read)):
            return await self._exchange(effect)
        if isinstance(effect, Sleep):
            await anyio.sleep(effect.seconds)
        elif isinstance(effect, Report):
            outcome = effect.call(effect.value)
            if inspect.isawaitable(outcome):
                await outcome
        elif isinstance(effect, Pull):
            return await self._pull(effect.count), None
        return None, None

    async def _pull(self, count: int) -> list[Any]:
        taken: list[Any] = []
        while self._source and len(taken) < count:
            item = await anext(self._source, _END)
            if item is _END:
                break
            taken.append(item)
        return taken

    async def _exchange(self, effect: Send | Read) -> tuple[Any, SentiqError | None]:
        """Return the fault instead of raising it from httpx2's error, which holds the request and its key."""
        try:
            return (await self._send(effect.call) if isinstance(effect, Send) else await self._read()), None
        except httpx2.RequestError as error:
            if isinstance(effect, Send) and effect.call.upload and effect.call.upload.failure is error:
                raise
            return None, fault_of(error)

    async def _read(self) -> bytes:
        return await anext(self._blocks, b"") if self._blocks else b""

    async def _send(self, call: Call) -> Reply:
        await self._close()
        content = call.upload.ablocks() if call.upload else call.content
        request = self._http.build_request(
            call.method, call.path, params=call.query or None, headers=call.headers, content=content
        )
        if call.timeout:
            request.extensions["timeout"] = httpx2.Timeout(call.timeout).as_dict()
        response = await self._http.send(request, stream=True)
        if call.stream and response.is_success:
            self._response, self._blocks = response, response.aiter_bytes()
            return Reply(response.status_code, dict(response.headers))
        try:
            return Reply(response.status_code, dict(response.headers), await response.aread())
        finally:
            await response.aclose()

    async def _close(self) -> None:
        if self._response is not None:
            await self._response.aclose()
            self._response = None
