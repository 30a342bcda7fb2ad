"""GET /v1/jobs/{id}/events: the progress of a job as server-sent events."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, request, stream_with_context
from pydantic_core import to_json

from api.http.request import owner, read_query
from api.output.serializers import job_view
from api.routes.context import services
from api.schemas.queries import NoQuery
from api.waiting.backlog_cache import BacklogCache
from api.waiting.hub import WaitHub
from api.waiting.subscription import Subscription
from api.waiting.turns import turns
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("events", __name__)

_HEARTBEAT_S = 15.0
_MIN_INTERVAL_S = 1.0  # between two events of progress
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@blueprint.get("/v1/jobs/<job_id>/events")
def stream_events(job_id: str) -> Response:
    """Follow a job as server-sent events: a `snapshot`, then `progress`, and `done` at the end."""
    read_query(NoQuery)
    job, last = services().store.job(job_id, owner()), request.headers.get("Last-Event-ID")
    if job.status.terminal and last == _event_id(job):
        return Response(status=204)
    stream = stream_with_context(_stream(services().wait_hub, services().backlog_cache, job, last))
    return Response(stream, content_type="text/event-stream", headers=_HEADERS)


def _stream(hub: WaitHub, backlogs: BacklogCache, job: Job, last: str | None) -> Iterator[bytes]:
    if last is None:
        yield _event("snapshot", job, backlogs)
    if job.status.terminal:
        yield _event("done", job, backlogs)
    elif not hub.full:
        with hub.subscribe(job) as subscription:
            yield from _ProgressStream(hub, backlogs, subscription, last or _event_id(job))


class _ProgressStream:
    """Yields the job's events after `last` until the job finishes."""

    def __init__(self, hub: WaitHub, backlogs: BacklogCache, subscription: Subscription, last: str) -> None:
        self._hub = hub
        self._backlogs = backlogs
        self._subscription = subscription
        self._last = last
        self._written_at = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        """Yield events, and heartbeats while there are none."""
        while not self._hub.stopping:
            wake = self._subscription.wake_events()
            try:
                job = self._subscription.job()
            except StoreUnavailableError:
                yield from self._heartbeat()
                with turns.paused():
                    wake.changed.wait(_MIN_INTERVAL_S)
                continue
            except SentiqError as error:
                yield _line("gone", self._last, {"code": error.code})
                return
            if job.status.terminal:
                yield _event("done", job, self._backlogs)
                return
            yield from self._progress(job)
            # The next event comes a second later at the earliest, unless the job finishes.
            with turns.paused():
                wake.finished.wait(_MIN_INTERVAL_S)
                wake.changed.wait(min(self._hub.reread_s, _HEARTBEAT_S - _MIN_INTERVAL_S))

    def _progress(self, job: Job) -> Iterator[bytes]:
        if _event_id(job) == self._last:
            yield from self._heartbeat()
            return
        self._last, self._written_at = _event_id(job), time.monotonic()
        yield _event("progress", job, self._backlogs)

    def _heartbeat(self) -> Iterator[bytes]:
        if time.monotonic() - self._written_at >= _HEARTBEAT_S - _MIN_INTERVAL_S:
            self._written_at = time.monotonic()
            yield b": still here\n\n"


def _event(name: str, job: Job, backlogs: BacklogCache) -> bytes:
    return _line(name, _event_id(job), job_view(job, backlogs.position(job)))


def _event_id(job: Job) -> str:
    """Return the id of the event: the job's progress, so that a reconnecting client gets only what is new."""
    paused = ".paused" if job.paused_ms else ""
    return f"{job.status}.{job.counts.total - job.counts.pending}.{job.counts.total}{paused}"


def _line(name: str, event_id: str, data: Mapping[str, Any]) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (name.encode(), event_id.encode(), to_json(data))
