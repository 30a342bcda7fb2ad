"""The backlog, read at most twice a second, so that a poll costs no second round trip to Redis."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from dataclasses import dataclass

from tasks.errors import StoreUnavailableError
from tasks.store.backlog import Backlog, Lines, read_backlogs, read_lines
from tasks.store.jobs import JobStore
from tasks.store.models import Models
from tasks.store.pauses import read_pauses
from tasks.store.workers import live_workers
from tasks.vocabulary.jobs import Job, Queue, QueueClass
from tasks.vocabulary.pauses import Pause

logger = logging.getLogger(__name__)

_FRESH_S = 0.5
_DEFAULT_POLL_MS = {QueueClass.INTERACTIVE: 200, QueueClass.BULK: 1000}
_MIN_POLL_MS, _MAX_POLL_MS = 100, 5000


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where an unfinished job stands in its queue.

    `workers` is the number of live workers of its model; `items_ahead` that of the items before its own, by
    the turns of owners; `eta_s` the seconds until it should be finished, None while no drain rate is known;
    `poll_after_ms` when the client should ask again. `pause` holds the job up, if one does.
    """

    workers: int
    items_ahead: int
    eta_s: float | None
    poll_after_ms: int
    pause: Pause | None = None


class BacklogCache:
    """The backlog of each queue as it was at most half a second ago."""

    def __init__(self, store: JobStore, models: Models) -> None:
        self._store = store
        self._models = models
        self._backlogs: dict[Queue, Backlog] = {}
        self._lines: dict[Queue, Lines] = {}
        self._now_ms = 0
        self._workers: Counter[str] = Counter()
        self._pauses: list[Pause] = []
        self._read_at = -_FRESH_S

    def position(self, job: Job) -> QueuePosition | None:
        """Return where the job stands; None when it is finished."""
        if job.status.terminal:
            return None
        backlog, default_ms = self._backlog(job.queue), _DEFAULT_POLL_MS[job.queue.queue_class]
        workers, lines = self._workers[job.queue.model], self._lines.get(job.queue)
        if backlog is None or lines is None:
            return QueuePosition(workers, 0, None, default_ms)
        owner = job.terms.owner
        if job.paused_ms is not None:
            own = 0 if job.place is None else max(0, job.place - lines.left.get(owner, 0))
            return QueuePosition(workers, own, None, _MAX_POLL_MS, self._pause_of(job))
        if job.place is None:
            return self._deferred(job, workers, backlog.items_per_s)
        own = max(0, job.place - lines.left.get(owner, 0))
        ahead = lines.scored_until(own, owner)
        if not backlog.items_per_s:
            return QueuePosition(workers, ahead, None, default_ms)
        eta_s = round(lines.scored_until(own + job.counts.pending, owner) / backlog.items_per_s, 1)
        poll_after_ms = max(_MIN_POLL_MS, min(_MAX_POLL_MS, math.ceil(eta_s * 1000)))
        return QueuePosition(workers, ahead, eta_s, poll_after_ms)

    def _deferred(self, job: Job, workers: int, items_per_s: float | None) -> QueuePosition:
        """Return where a job stands whose time has not come: what waits now should be done by then."""
        left_s = max(0, (job.terms.not_before_ms or 0) - self._now_ms) / 1000
        eta_s = round(left_s + job.counts.pending / items_per_s, 1) if items_per_s and left_s else None
        poll_after_ms = min(
            _MAX_POLL_MS, max(_DEFAULT_POLL_MS[job.queue.queue_class], math.ceil(left_s * 1000))
        )
        return QueuePosition(workers, 0, eta_s, poll_after_ms)

    def _pause_of(self, job: Job) -> Pause | None:
        """Return the oldest pause that holds a job up; None while it is being resumed."""
        found = self._holding(job)
        if not found:  # a new one, perhaps
            self._pauses = read_pauses(self._store)
            found = self._holding(job)
        return found[0] if found else None

    def _holding(self, job: Job) -> list[Pause]:
        return [pause for pause in self._pauses if pause.target.holds(job.queue, job.terms.owner)]

    def _backlog(self, queue: Queue) -> Backlog | None:
        now = time.monotonic()
        if now - self._read_at >= _FRESH_S:
            self._read_at = now
            try:
                self._backlogs = read_backlogs(self._store, self._models.names)
                self._lines = read_lines(self._store, list(self._backlogs))
                self._now_ms = self._store.now_ms()
                self._pauses = read_pauses(self._store)
                self._workers = Counter(worker.serves for worker in live_workers(self._store))
            except StoreUnavailableError as error:
                # The job itself was read: answering matters more than the estimate.
                logger.warning("the backlog cannot be read; estimates are stale: %s", error)
        return self._backlogs.get(queue)
