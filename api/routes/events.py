"""GET /v1/jobs/{id}/events: how a job comes on, as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request, stream_with_context
from pydantic_core import to_json

from api.http.request import owner, refuse_unknown_queries
from api.output.serializers import job_view
from api.routes.context import services
from api.waiting.backlog_cache import Queues
from api.waiting.hub import Waiters
from api.waiting.subscription import View
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.vocabulary.jobs import Job

events = Blueprint("events", __name__)

_HEARTBEAT_S = 15.0
_LEAST_S = 1.0  # between two tidings of progress
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@events.get("/v1/jobs/<job_id>/events")
def read(job_id: str) -> Response:
    """Stream `snapshot`, then `progress`, at last `done`; 204 to whoever has that already and comes again."""
    refuse_unknown_queries()
    job, last = services().store.job(job_id, owner()), request.headers.get("Last-Event-ID")
    if job.status.terminal and last == _event_id(job):
        return Response(status=204)
    stream = stream_with_context(_stream(services().waiters, services().queues, job, last))
    return Response(stream, content_type="text/event-stream", headers=_HEADERS)


def _stream(waiters: Waiters, queues: Queues, job: Job, last: str | None) -> Iterator[bytes]:
    if last is None:
        yield _event("snapshot", job, queues)
    if job.status.terminal:
        yield _event("done", job, queues)
    elif not waiters.full:
        with waiters.watch(job) as view:
            yield from _Tidings(waiters, queues, view, last or _event_id(job))


class _Tidings:
    """What is new of a job since the event `last`, until it is over."""

    def __init__(self, waiters: Waiters, queues: Queues, view: View, last: str) -> None:
        self._waiters = waiters
        self._queues = queues
        self._view = view
        self._last = last
        self._wrote = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        """Yield events and, where nothing happens, heartbeats."""
        while not self._waiters.closing:
            turn = self._view.turn
            try:
                job = self._view.job()
            except StoreUnavailableError:
                yield from self._heartbeat()
                turn.changed.wait(_LEAST_S)
                continue
            except SentiqError as error:
                yield _line("gone", self._last, {"code": error.code})
                return
            if job.status.terminal:
                yield _event("done", job, self._queues)
                return
            yield from self._progress(job)
            # No sooner than a second after the last, unless the job is over.
            turn.over.wait(_LEAST_S)
            turn.changed.wait(min(self._waiters.look_s, _HEARTBEAT_S - _LEAST_S))

    def _progress(self, job: Job) -> Iterator[bytes]:
        if _event_id(job) == self._last:
            yield from self._heartbeat()
            return
        self._last, self._wrote = _event_id(job), time.monotonic()
        yield _event("progress", job, self._queues)

    def _heartbeat(self) -> Iterator[bytes]:
        if time.monotonic() - self._wrote >= _HEARTBEAT_S - _LEAST_S:
            self._wrote = time.monotonic()
            yield b": still here\n\n"


def _event(name: str, job: Job, queues: Queues) -> bytes:
    return _line(name, _event_id(job), job_view(job, queues.position(job)))


def _event_id(job: Job) -> str:
    """Tell how far the job was: whoever comes back with it is told only what is new."""
    return f"{job.status}.{job.counts.total - job.counts.pending}.{job.counts.total}"


def _line(name: str, event_id: str, data: Mapping[str, Any]) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), event_id.encode(), to_json(data))
