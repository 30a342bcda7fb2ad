"""What a worker's parent does beside Celery's own work: watch its children, report, reconcile."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Sequence
from typing import Any

from billiard import Array, Value
from celery import Celery, bootsteps
from celery.worker import state
from pydantic_core import to_json

from tasks.broker.celery_app import build_publisher
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, WORKERS
from tasks.store.reconciler import TICK_S, Reconciler
from worker.process.fork_state import ReadyChildren, host_id

logger = logging.getLogger(__name__)

_REPORT_MS = 10_000
_MAX_LOAD_FAILURES = 3


class LoadFailures:
    """How many children in a row could not load the model, and why the last; shared with them by fork."""

    def __init__(self) -> None:
        self._count = Value("i", 0)
        self._reason = Array("c", 1024)

    def add(self, reason: str) -> None:
        """Called by a child that is about to exit."""
        with self._count.get_lock():
            self._count.value += 1
            self._reason.value = reason.encode()[:1023]

    def clear(self) -> None:
        """Called by a child that holds a working model."""
        self._count.value = 0

    @property
    def reason(self) -> str:
        """Why the last child could not; empty when the last one could."""
        return self._reason.value.decode(errors="ignore") if self._count.value else ""

    @property
    def hopeless(self) -> bool:
        """Whether starting further children would be a loop that looks like health."""
        return bool(self._count.value >= _MAX_LOAD_FAILURES)


class Parent:
    """One a worker; `name` is unique to this start of it."""

    def __init__(self, settings: Settings, failures: LoadFailures, ready: ReadyChildren) -> None:
        self.name = f"{host_id()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._took_over = False
        self._told = 0
        self._failures = failures
        self._ready = ready
        self._model: dict[str, Any] = {}
        self._store = JobStore.connect(settings)
        publisher = build_publisher(settings)
        self._reconciler = Reconciler(self._store, lambda *args: publish_wakeups(publisher, *args), self.name)

    def serves(self, model: dict[str, Any]) -> None:
        """Say which model the children will hold."""
        self._model = model

    def tick(self, worker: Any) -> None:
        """Look after the children and the job store; Redis being away is no reason to stop."""
        if self._failures.hopeless:
            logger.critical("%d children in a row could not load the model: stopping", _MAX_LOAD_FAILURES)
            state.should_terminate = os.EX_SOFTWARE
            return
        pids = worker.pool.info["processes"]
        try:
            self._report(pids)
            if not self._took_over:
                self._take_over()
            self._reconciler.tick(pids)
        except (StoreUnavailableError, NotPublishedError) as error:
            logger.warning("upkeep waits for Redis: %s", error)

    def _take_over(self) -> None:
        """Take over at once from workers that ran here before and were killed: a restart need not wait."""
        with store_errors():
            names = [name.decode() for name in self._store.redis.hkeys(WORKERS)]
        for name in names:
            if name != self.name and name.startswith(f"{host_id()}/") and not _runs(int(name.split("/")[1])):
                self._reconciler.take_over(name)
        self._took_over = True

    def _report(self, pids: Sequence[int]) -> None:
        report = {
            "until_ms": self._store.now_ms() + _REPORT_MS,
            "children": len(pids),
            "ready": self._ready.among(pids),
            "model": self._model,
        }
        restarted = self._ready.restarts - self._told
        with store_errors():
            pipe = self._store.redis.pipeline()
            pipe.hset(WORKERS, self.name, to_json(report))
            if restarted:
                pipe.hincrby(COUNTERS, "restarted", restarted)
            pipe.execute()
        # Only now: what Redis did not take is told with the next report.
        self._told += restarted


def _runs(pid: int) -> bool:
    if pid == os.getpid():
        return False  # another worker of that pid was before us
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def add_upkeep(app: Celery, parent: Parent) -> None:
    """Have the worker's own loop call `tick`: a thread could hold a lock while a child is forked."""

    class Upkeep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
        requires = frozenset({"celery.worker.components:Pool", "celery.worker.components:Timer"})

        def start(self, worker: Any) -> None:
            parent.tick(worker)
            self.entry = worker.timer.call_repeatedly(TICK_S, parent.tick, (worker,))

        def stop(self, worker: Any) -> None:  # noqa: ARG002
            self.entry.cancel()

    app.steps["worker"].add(Upkeep)
