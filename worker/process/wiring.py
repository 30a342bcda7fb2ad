"""Builds the worker: the Celery app with its one task, and what runs in the parent and in each child."""

from __future__ import annotations

import atexit
import logging
from typing import Any

from celery import Celery
from celery.signals import (
    after_setup_logger,
    after_setup_task_logger,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)

from tasks import score
from tasks.broker.celery_app import build_celery, consume
from tasks.log_format import LineFormatter
from tasks.settings import Settings
from tasks.tracing import trace
from worker.process.child_starter import ChildStarter
from worker.process.cpu import cpu_budget
from worker.process.fork_state import KnownLogits, LoadFailures, ReadyChildren, Stopping
from worker.process.parent import Parent, add_upkeep
from worker.process.shift import longest_s
from worker.process.stopping import StopWatch

_LOG_FORMAT = "%(levelname)s %(processName)s %(message)s"


def build_worker(settings: Settings) -> Celery:
    """Return the app for `celery -A worker.main worker`; nothing is loaded before the worker starts."""
    app = build_celery(settings)
    budget = cpu_budget().at_most(settings.cores)
    concurrency = settings.concurrency or (1 if settings.device == "cuda" else budget.count)
    app.conf.update(
        worker_concurrency=concurrency,
        worker_prefetch_multiplier=1,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # The last lease of a wake-up has the whole time too.
        task_time_limit=settings.task_time_limit_s + longest_s(settings),
        worker_proc_alive_timeout=120,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=settings.task_events,
        worker_redirect_stdouts=False,
    )
    failures, ready, stopping = LoadFailures(), ReadyChildren(concurrency), Stopping()
    parent = Parent(settings, failures, ready)
    starter = ChildStarter(
        settings,
        budget=budget,
        concurrency=concurrency,
        worker=parent.name,
        failures=failures,
        ready=ready,
        known=KnownLogits(),
        stopping=stopping,
    )
    add_upkeep(app, parent)
    score.register(app, starter.work)
    _connect_signals(settings, app, parent, starter, stopping)
    return app


def _connect_signals(
    settings: Settings, app: Celery, parent: Parent, starter: ChildStarter, stopping: Stopping
) -> None:
    def start_parent(**_: Any) -> None:
        consume(app, parent.start())
        starter.prepare()
        atexit.register(parent.explain_exit)

    def start_child(**_: Any) -> None:
        starter.start()

    def end_child(**_: Any) -> None:
        trace.stop()

    def set_format(logger: logging.Logger, **_: Any) -> None:
        for handler in logger.handlers:
            handler.setFormatter(LineFormatter(_LOG_FORMAT))

    def set_log_levels(**_: Any) -> None:
        # Celery's two lines a message are left out: the child logs in one line what it scored.
        logging.getLogger().setLevel(settings.log_level.upper())
        for name in ("celery.worker.strategy", "celery.app.trace"):
            logging.getLogger(name).setLevel(logging.WARNING)

    def stop(**_: Any) -> None:
        stopping.begin()
        StopWatch(settings).start()

    worker_init.connect(start_parent, weak=False)
    worker_process_init.connect(start_child, weak=False)
    worker_process_shutdown.connect(end_child, weak=False)
    after_setup_logger.connect(set_format, weak=False)
    after_setup_task_logger.connect(set_format, weak=False)
    after_setup_logger.connect(set_log_levels, weak=False)
    worker_shutting_down.connect(stop, weak=False)
