"""Does for callers that block what the logic asks for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, TypeVar

import httpx2

from sentiq.connecting import fault_of
from sentiq.effects import Call, Effect, Emit, Flow, Pull, Read, Reply, Report, Send, Sleep, Steps
from sentiq.errors import SentiqError

T = TypeVar("T")


def run(http: httpx2.Client, steps: Steps[T], source: Iterator[Any] | None = None) -> T:
    """Run steps to their end; return what they return. `source` has the texts that they pull."""
    with closing(steps), _Performer(http, source) as performer:
        try:
            effect = next(steps)
            while True:
                outcome, fault = performer.perform(effect)
                effect = steps.throw(fault) if fault else steps.send(outcome)
        except StopIteration as end:
            value: T = end.value
            return value


def iterate(http: httpx2.Client, flow: Flow[T], source: Iterator[Any] | None = None) -> Iterator[T]:
    """Run a flow; yield what it emits. `source` has the texts that it pulls."""
    with closing(flow), _Performer(http, source) as performer:
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Emit):
                    yield effect.value
                    effect = flow.send(None)
                else:
                    outcome, fault = performer.perform(effect)
                    effect = flow.throw(fault) if fault else flow.send(outcome)
        except StopIteration:
            return


class _Performer:
    """Performs one effect after the other; it has one open stream at most."""

    def __init__(self, http: httpx2.Client, source: Iterator[Any] | None = None) -> None:
        self._http = http
        self._source = source
        self._response: httpx2.Response | None = None
        self._blocks: Iterator[bytes] = iter(())

    def __enter__(self) -> _Performer:  # noqa: PYI034  private
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def perform(self, effect: Effect) -> tuple[Any, SentiqError | None]:
        """Return the outcome of an effect, or the fault of the connection."""
        if isinstance(effect, (Send, Read)):
            return self._exchange(effect)
        if isinstance(effect, Sleep):
            time.sleep(effect.seconds)
        elif isinstance(effect, Report):
            effect.call(effect.value)
        elif isinstance(effect, Pull):
            return list(islice(self._source or iter(()), effect.count)), None
        return None, None

    def _exchange(self, effect: Send | Read) -> tuple[Any, SentiqError | None]:
        """Return the fault instead of raising it from httpx2's error, which holds the request and its key."""
        try:
            return (self._send(effect.call) if isinstance(effect, Send) else next(self._blocks, b"")), None
        except httpx2.RequestError as error:
            if isinstance(effect, Send) and effect.call.upload and effect.call.upload.failure is error:
                raise
            return None, fault_of(error)

    def _send(self, call: Call) -> Reply:
        self._close()
        content = call.upload.blocks() if call.upload else call.content
        request = self._http.build_request(
            call.method, call.path, params=call.query or None, headers=call.headers, content=content
        )
        if call.timeout:
            request.extensions["timeout"] = httpx2.Timeout(call.timeout).as_dict()
        response = self._http.send(request, stream=True)
        if call.stream and response.is_success:
            self._response, self._blocks = response, response.iter_bytes()
            return Reply(response.status_code, dict(response.headers))
        try:
            return Reply(response.status_code, dict(response.headers), response.read())
        finally:
            response.close()

    def _close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
