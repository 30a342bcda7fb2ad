"""Where a job stands, from queues read at most twice a second: polls must not cost a round trip more."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

from tasks.errors import StoreUnavailableError
from tasks.store.backlog import Backlog, read_backlogs
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import Job, QueueClass

logger = logging.getLogger(__name__)

_FRESH_S = 0.5
_UNKNOWN_POLL_MS = {QueueClass.INTERACTIVE: 200, QueueClass.BULK: 1000}
_LEAST_POLL_MS, _MOST_POLL_MS = 100, 5000


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Where an unfinished job stands: items before its own, seconds until it should be over if that is known.

    `poll_after_ms` is when asking again is worth while.
    """

    items_ahead: int
    eta_s: float | None
    poll_after_ms: int


class Queues:
    """The queues as they were a moment ago."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._read: dict[QueueClass, Backlog] = {}
        self._looked = -_FRESH_S

    def position(self, job: Job) -> QueuePosition | None:
        """Return where the job stands; None when it is over."""
        if job.status.terminal:
            return None
        queue, unknown_ms = self._queue(job.queue_class), _UNKNOWN_POLL_MS[job.queue_class]
        if queue is None or job.ticket is None:
            return QueuePosition(0, None, unknown_ms)
        ahead = max(0, job.ticket - queue.left)
        if not queue.items_per_s:
            return QueuePosition(ahead, None, unknown_ms)
        eta_s = round((ahead + job.counts.pending) / queue.items_per_s, 1)
        poll_after_ms = max(_LEAST_POLL_MS, min(_MOST_POLL_MS, math.ceil(eta_s * 1000)))
        return QueuePosition(ahead, eta_s, poll_after_ms)

    def _queue(self, queue_class: QueueClass) -> Backlog | None:
        now = time.monotonic()
        if now - self._looked >= _FRESH_S:
            self._looked = now
            try:
                self._read = read_backlogs(self._store)
            except StoreUnavailableError as error:
                # The job was read: its answer matters more than how long it will take.
                logger.warning("no queues to tell of: %s", error)
        return self._read.get(queue_class)
