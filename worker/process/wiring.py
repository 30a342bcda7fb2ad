"""Builds the worker: the Celery app, its one task, and what parent and children do beside it."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import signal
import sys
import time
from typing import Any

from billiard import current_process
from celery import Celery
from celery.signals import after_setup_logger, worker_init, worker_process_init

from tasks.broker.celery_app import SCORE_TASK, build_celery
from tasks.errors import SentiqError
from tasks.settings import Settings
from tasks.store.counters import LocalCounters
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder
from tasks.vocabulary.jobs import QueueClass
from worker.packs.pack import Pack, load_pack
from worker.process.child import STORE_PATIENCE, Child
from worker.process.cpu import CpuBudget, cpu_budget
from worker.process.fork_state import ReadyChildren
from worker.process.parent import LoadFailures, Parent, add_upkeep
from worker.process.shared_weights import SharedBlocks

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def build_worker(settings: Settings) -> Celery:
    """Return the app for `celery -A worker.main worker`; nothing is loaded before the worker starts."""
    app = build_celery(settings)
    share = cpu_budget()
    concurrency = settings.concurrency or (1 if settings.device == "cuda" else share.count)
    app.conf.update(
        worker_concurrency=concurrency,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=settings.task_time_limit_s,
        worker_proc_alive_timeout=120,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=settings.task_events,
        worker_redirect_stdouts=False,
        worker_log_format="%(levelname)s %(processName)s %(message)s",
    )
    starter = _Starter(settings, share, concurrency)
    add_upkeep(app, starter.parent)
    starter.connect_signals()

    @app.task(name=SCORE_TASK, bind=True)  # type: ignore[untyped-decorator]  # Celery has no types
    def score(self: Any, job_id: str, start: int) -> None:
        """Be woken by the message of one chunk and work on the oldest ones of its class."""
        logger.debug("rung by chunk %s/%d", job_id, start)
        starter.child.work(QueueClass.of_queue(self.request.delivery_info["routing_key"]))

    return app


class _Starter:
    """Starts the parent and each child. `child` exists in children only."""

    child: Child
    _weights: SharedBlocks

    def __init__(self, settings: Settings, share: CpuBudget, concurrency: int) -> None:
        self._settings = settings
        self._share = share
        self._concurrency = concurrency
        self._threads = max(1, share.count // concurrency)
        self._failures = LoadFailures()
        self._ready = ReadyChildren(concurrency)
        self.parent = Parent(settings, self._failures, self._ready)

    def connect_signals(self) -> None:
        worker_init.connect(self._start_parent, weak=False)
        worker_process_init.connect(self._start_child, weak=False)
        after_setup_logger.connect(self._set_log_levels, weak=False)

    def _set_log_levels(self, **_: Any) -> None:
        """Log at our level, without Celery's two lines a message: the child says in one what it scored."""
        logging.getLogger().setLevel(self._settings.log_level.upper())
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def _start_parent(self, **_: Any) -> None:
        """Refuse to start with a pack or an engine that no child could load."""
        # numpy would start a thread for each core, and threads do not survive the fork of a child.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            pack = load_pack(self._settings.pack)
            self._preload()
        except SentiqError as error:
            sys.exit(f"worker: cannot serve {self._settings.pack}: {error}")
        self._weights = SharedBlocks(enabled=self._settings.shared_weights)
        atexit.register(self._explain_end)
        traits = {
            "labels": pack.labels,
            "max_tokens": pack.max_tokens,
            "uncertain_below": pack.uncertain_below,
        }
        self.parent.serves(_describe(pack, self._settings) | traits)

    def _explain_end(self) -> None:
        """Have the last line tell why; Celery ends with a traceback about processes."""
        if self._failures.reason:
            print(f"worker: cannot serve {self._settings.pack}: {self._failures.reason}", file=sys.stderr)

    def _start_child(self, **_: Any) -> None:
        """Load the model; Celery would swallow an error here and leave a child that fails every job."""
        _die_with_parent()
        self._ready.begin(current_process().index)
        started = time.monotonic()
        try:
            self.child = self._load()
        except Exception as error:
            known = isinstance(error, SentiqError)
            logger.critical("a child cannot load the model: %s", error, exc_info=not known)
            self._failures.add(str(error))
            sys.exit(os.EX_SOFTWARE)
        self._failures.clear()
        self._ready.add(current_process().index)
        logger.info("child ready after %.2f s", time.monotonic() - started)

    def _preload(self) -> None:
        """Import once what each child would: they start faster and share the memory. Nothing is run."""
        # Not at the top: whoever only imports worker.main has no use for them.
        import worker.scoring.classifier  # noqa: F401, PLC0415
        from worker.engines.factory import find_engine  # noqa: PLC0415

        find_engine(self._settings.engine).require(self._settings.device)

    def _load(self) -> Child:
        from worker.engines.factory import build_engine  # noqa: PLC0415
        from worker.engines.metered import MeteredEngine  # noqa: PLC0415
        from worker.scoring.classifier import Classifier  # noqa: PLC0415

        settings = self._settings
        # A forward that moves between cores loses its caches.
        os.sched_setaffinity(0, self._share.of_child(current_process().index, self._threads))
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
        counters.take()
        store = JobStore.connect(settings, patience=STORE_PATIENCE)
        holder = Holder(self.parent.name, os.getpid(), self._concurrency)
        return Child(classifier, store, holder, _describe(pack, settings), counters)


def _describe(pack: Pack, settings: Settings) -> dict[str, Any]:
    return {"id": pack.id, "revision": pack.revision, "engine": settings.engine}


def _die_with_parent() -> None:
    """Have Linux kill this child when its parent is killed: nobody would ever fetch its results."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
