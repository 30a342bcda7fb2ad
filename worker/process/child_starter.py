"""How a prefork child starts: it loads the model after its fork, and then gets the wake-ups."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from typing import NoReturn

from billiard import current_process

from tasks.broker.celery_app import build_publisher
from tasks.broker.wakeups import publish_wakeups
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.counters import LocalCounters, increment
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder
from tasks.store.needed_wakeups import Wakeups
from tasks.tracing import trace
from worker.packs.pack import load_pack
from worker.process.child import SICK, Child
from worker.process.cpu import CpuBudget, pin
from worker.process.fork_state import Ending, KnownLogits, LoadFailures, ReadyChildren, Stopping
from worker.process.parent import model_of, name_of_model
from worker.process.shared_weights import SharedBlocks
from worker.process.shift import longest_s, work_until_idle

logger = logging.getLogger(__name__)

# Nobody waits for a child, and a scored text is worth more than a quick error.
_STORE_PATIENCE = 15
_PR_SET_PDEATHSIG = 1
# Children compute on every core that they have; the API and Redis beside them need milliseconds to answer
# callers. Five steps give these three times the weight of a child, and leave it all time that they do not
# use. Where children have a host of their own, nobody takes it from them.
NICENESS = 5


class ChildStarter:
    """Loads the model in each child after its fork, and passes it the wake-ups."""

    _child: Child
    _store: JobStore
    _weights: SharedBlocks

    def __init__(  # noqa: PLR0913  the wiring passes each of them once
        self,
        settings: Settings,
        *,
        budget: CpuBudget,
        concurrency: int,
        worker: str,
        failures: LoadFailures,
        ready: ReadyChildren,
        known: KnownLogits,
        stopping: Stopping,
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._concurrency = concurrency
        self._threads = max(1, budget.count // concurrency)
        self._worker = worker
        self._failures = failures
        self._ready = ready
        self._known = known
        self._stopping = stopping

    def prepare(self) -> None:
        """Make what the children share; the parent calls this before it forks."""
        self._weights = SharedBlocks(enabled=self._settings.shared_weights)

    def start(self) -> None:
        """Load the model; Celery would swallow an error here and leave a child that fails every job."""
        _die_with_parent()
        os.nice(NICENESS)
        slot = current_process().index
        self._ready.begin(slot)
        started = time.monotonic()
        try:
            trace.start("worker", self._settings)
            self._child = self._load(slot)
        except Exception as error:
            known = isinstance(error, SentiqError)
            logger.critical("a child cannot load the model: %s", error, exc_info=not known)
            self._failures.add(str(error))
            self._ready.remove(slot, Ending.NOT_LOADED)
            sys.exit(os.EX_SOFTWARE)
        self._failures.clear()
        self._ready.add(slot)
        logger.info("child ready after %.2f s", time.monotonic() - started)

    def work(self) -> None:
        """Have the child of this process answer a wake-up; end the process when its engine fails."""
        try:
            work_until_idle(self._child, longest_s(self._settings), lambda: self._stopping.begun)
        except SICK as error:
            self._leave(error)

    def _leave(self, error: Exception) -> NoReturn:
        """End this sick child: the pool replaces it, and the broker delivers its wake-up again."""
        self._ready.remove(current_process().index, Ending.SICK)
        logger.critical("this child is sick and leaves: %s", str(error) or type(error).__name__)
        with suppress(StoreUnavailableError, MemoryError):
            increment(self._store, "sick")
        with suppress(MemoryError, RuntimeError):  # a thread cannot start without memory
            trace.stop()
        # Not sys.exit(): what runs at exit may need memory that the child cannot get.
        os._exit(os.EX_SOFTWARE)

    def _load(self, slot: int) -> Child:
        # Not at the top: the parent must run nothing of these before it forks.
        from worker.engines.factory import build_engine  # noqa: PLC0415
        from worker.engines.metered import MeteredEngine  # noqa: PLC0415
        from worker.scoring.classifier import Classifier  # noqa: PLC0415

        settings = self._settings
        # A forward that moves between cores loses its caches.
        pin(self._budget.of_child(slot, self._threads))
        pack = load_pack(settings.pack)
        with self._weights.shared():
            engine = build_engine(pack, settings.engine, device=settings.device, threads=self._threads)
        counters = LocalCounters()
        classifier = Classifier(
            pack,
            MeteredEngine(engine, counters),
            batch_tokens=settings.batch_tokens or engine.batch_tokens,
            cache_rows=settings.cache_rows,
        )
        classifier.warm_up()
        self._store = JobStore.connect(settings, patience=_STORE_PATIENCE)
        return Child(
            classifier,
            self._store,
            Holder(self._worker, os.getpid(), self._concurrency, name_of_model(pack, settings)),
            model_of(pack, settings),
            counters,
            known=self._known,
            finished=lambda items: self._ready.finished(slot, items),
            wakeups=Wakeups(self._store, partial(publish_wakeups, build_publisher(settings))),
        )


def _die_with_parent() -> None:
    """Have Linux kill this child when its parent is killed: its wake-ups would never be acknowledged."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
