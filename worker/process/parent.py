"""What a worker's parent does beside Celery's own work: refuse a bad pack, report heartbeats, reconcile."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from functools import partial
from typing import Any

from celery import Celery, bootsteps
from celery.worker import state

from tasks.broker.celery_app import build_publisher
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import ConfigurationError, LabelsChangedError, SentiqError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store import models, workers
from tasks.store.connection import require_one_redis
from tasks.store.jobs import JobStore
from tasks.store.reconciler import TICK_S, Reconciler
from tasks.tracing import trace
from tasks.vocabulary.model_names import name_of
from worker.packs.pack import Pack, load_pack
from worker.process.children import Children
from worker.process.fork_state import LoadFailures, ReadyChildren, host_id

logger = logging.getLogger(__name__)


class Parent:
    """One a worker; `name` is unique to this start of it."""

    def __init__(self, settings: Settings, failures: LoadFailures, ready: ReadyChildren) -> None:
        self.name = f"{host_id()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._settings = settings
        self._failures = failures
        self._ready = ready
        self._children = Children(ready)
        self._model: dict[str, Any] = {}
        self._registered = False
        self._pack: Pack | None = None
        self._took_over = False
        self._reported_restarts = 0
        self._store = JobStore.connect(settings)
        self._publisher = build_publisher(settings)

    def start(self) -> str:
        """Return the name of the model that this worker serves.

        Exit with the reason when no child could load the pack or run the engine.
        """
        # numpy would start a thread for each core, and threads do not survive the fork of a child.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            require_one_redis(self._store.redis)
            # Children load it from here, and share its memory. Its thread starts behind their forks.
            trace.require(self._settings)
            pack = load_pack(self._settings.pack)
            _preload(self._settings)
        except ConfigurationError as error:
            sys.exit(f"worker: {error}")
        except SentiqError as error:
            sys.exit(f"worker: cannot serve {self._settings.pack}: {error}")
        traits = {
            "labels": pack.labels.ids,
            "input": pack.input,
            "max_tokens": pack.max_tokens,
            "uncertain_below": pack.uncertain_below,
        }
        name = name_of_model(pack, self._settings)
        self._model, self._pack = {"name": name} | model_of(pack, self._settings) | traits, pack
        self._reconciler = Reconciler(self._store, partial(publish_wakeups, self._publisher), self.name, name)
        return name

    def explain_exit(self) -> None:
        """Print the reason as the last line: Celery ends with a traceback about processes."""
        if self._failures.reason:
            print(f"worker: cannot serve {self._settings.pack}: {self._failures.reason}", file=sys.stderr)

    def tick(self, worker: Any) -> None:
        """Report and reconcile once; wait while Redis is away; stop when no child can load the model."""
        if self._failures.hopeless:
            logger.critical("too many children in a row could not load the model: stopping")
            state.should_terminate = os.EX_SOFTWARE
            return
        pids = worker.pool.info["processes"]
        try:
            self._record_labels()
            self._report(pids)
            self._register()
            if not self._took_over:
                self._take_over()
            self._reconciler.tick(pids)
        except (StoreUnavailableError, NotPublishedError) as error:
            logger.warning("upkeep waits for Redis: %s", error)
        except LabelsChangedError as error:
            self._failures.add(str(error))
            state.should_terminate = os.EX_CONFIG

    def _record_labels(self) -> None:
        """Record the labels of the pack before any result; if they are refused, nothing else is written."""
        if self._pack is not None:
            # Each time: Redis may have lost its data.
            self._store.labels.record(self._pack.model, self._pack.labels)

    def _register(self) -> None:
        """Register the model after a heartbeat, so that others see that a live worker serves this pack."""
        if self._pack is None:
            return
        description = {
            "id": self._pack.id,
            "revision": self._pack.revision,
            "labels": self._pack.labels.described(),
            "input": self._pack.input,
            "max_tokens": self._pack.max_tokens,
            "uncertain_below": self._pack.uncertain_below,
            "measured": self._pack.measured,
        }
        models.register(self._store, self._model["name"], description, starting=not self._registered)
        self._registered = True

    def _report(self, pids: list[int]) -> None:
        restarts = self._ready.restarts
        workers.heartbeat(
            self._store,
            self.name,
            children=len(pids),
            ready=self._ready.among(pids),
            model=self._model,
            restarts=restarts - self._reported_restarts,
            processes=self._children.look(pids),
        )
        # Only now: what Redis did not take is reported with the next heartbeat.
        self._reported_restarts = restarts

    def _take_over(self) -> None:
        """Take over at once from killed workers of this host: a restart need not wait for their leases."""
        for worker in workers.known_workers(self._store):
            if worker.name != self.name and worker.host == host_id() and not _runs(worker.pid):
                self._reconciler.take_over(worker.name)
        self._took_over = True


def model_of(pack: Pack, settings: Settings) -> dict[str, str]:
    """Return how records and heartbeats name the model that serves a pack."""
    return {"id": pack.id, "revision": pack.revision, "engine": settings.engine}


def name_of_model(pack: Pack, settings: Settings) -> str:
    """Return the name under which jobs ask for a pack: its id, unless a setting gives another."""
    return settings.model_name or name_of(pack.id)


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


def _preload(settings: Settings) -> None:
    """Import once what each child would: children start faster and share the memory. Nothing is run."""
    # Not at the top: a program that only imports worker.main has no use for them.
    import worker.scoring.classifier  # noqa: F401, PLC0415
    from worker.engines.factory import find_engine  # noqa: PLC0415

    find_engine(settings.engine).require(settings.device)


def _runs(pid: int) -> bool:
    if pid == os.getpid():
        return False  # another worker had that pid before us
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
