"""What a prefork child does: load one model, lease chunks, score them, write the outcomes."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from billiard import current_process

from tasks.errors import LeaseCanceledError, LeaseLostError, SentiqError
from tasks.settings import Settings
from tasks.store.counters import LocalCounters
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder, Lease, finish, lease, renew
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import Verdict
from worker.packs.pack import load_pack
from worker.process.cpu import CpuBudget
from worker.process.fork_state import LoadFailures, ReadyChildren
from worker.process.parent import model_of
from worker.process.shared_weights import SharedBlocks
from worker.scoring.question import Question

if TYPE_CHECKING:
    from worker.scoring.classifier import Classifier

logger = logging.getLogger(__name__)

# Nobody waits for a child, and a scored text is worth more than a quick error.
_STORE_PATIENCE = 15
# Often enough that a cancel need not wait for the longest lease.
_RENEW_S = 0.5
_PR_SET_PDEATHSIG = 1


class ChildStarter:
    """Loads the model in each child after its fork, and passes it the wake-ups."""

    _child: Child
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
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._concurrency = concurrency
        self._threads = max(1, budget.count // concurrency)
        self._worker = worker
        self._failures = failures
        self._ready = ready

    def prepare(self) -> None:
        """Make what the children share; the parent calls this before it forks."""
        self._weights = SharedBlocks(enabled=self._settings.shared_weights)

    def start(self) -> None:
        """Load the model; Celery would swallow an error here and leave a child that fails every job."""
        _die_with_parent()
        slot = current_process().index
        self._ready.begin(slot)
        started = time.monotonic()
        try:
            self._child = self._load(slot)
        except Exception as error:
            known = isinstance(error, SentiqError)
            logger.critical("a child cannot load the model: %s", error, exc_info=not known)
            self._failures.add(str(error))
            sys.exit(os.EX_SOFTWARE)
        self._failures.clear()
        self._ready.add(slot)
        logger.info("child ready after %.2f s", time.monotonic() - started)

    def work(self, queue_class: QueueClass) -> None:
        """Have the child of this process answer a wake-up."""
        self._child.work(queue_class)

    def _load(self, slot: int) -> Child:
        # Not at the top: the parent must run nothing of these before it forks.
        from worker.engines.factory import build_engine  # noqa: PLC0415
        from worker.engines.metered import MeteredEngine  # noqa: PLC0415
        from worker.scoring.classifier import Classifier  # noqa: PLC0415

        settings = self._settings
        # A forward that moves between cores loses its caches.
        os.sched_setaffinity(0, self._budget.of_child(slot, self._threads))
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
        store = JobStore.connect(settings, patience=_STORE_PATIENCE)
        holder = Holder(self._worker, os.getpid(), self._concurrency)
        return Child(classifier, store, holder, model_of(pack, settings), counters)


class Child:
    """Scores what the job store leases to it."""

    def __init__(
        self,
        classifier: Classifier,
        store: JobStore,
        holder: Holder,
        model: dict[str, str],
        counters: LocalCounters,
    ) -> None:
        self._classifier = classifier
        self._store = store
        self._settings = store.settings
        self._holder = holder
        self._model = model
        self._counters = counters
        self._model_name = f"{model['id']}@{model['revision']}"
        self._cost_per_s = store.settings.chunk_chars / store.settings.lease_work_s

    def work(self, queue_class: QueueClass) -> None:
        """Lease once and score what was leased; a wake-up whose work others have done finds nothing."""
        budget = int(self._cost_per_s * self._settings.lease_work_s)
        held = lease(self._store, queue_class, self._holder, budget)
        if held is None:
            return
        started = time.perf_counter()
        try:
            results = self._score(held)
        except LeaseCanceledError:
            finish(self._store, held, _canceled(held), self._model)
            logger.info("dropped %d chunks that were canceled", len(held.chunks))
            return
        except LeaseLostError:
            logger.warning("%d chunks are no longer ours", len(held.chunks))
            return
        seconds = time.perf_counter() - started
        written = finish(self._store, held, results, self._model, self._counters.take())
        self._learn(held, seconds)
        _log(held, seconds)
        if written < len(results):
            logger.warning(
                "%d chunks were no longer ours: their outcomes are dropped", len(results) - written
            )

    def _score(self, held: Lease) -> list[ChunkResult]:
        """Score each distinct question of a lease once."""
        questions = (
            Question(item.text, leased.chunk.options)
            for leased in held.chunks
            for item in leased.chunk.items
            if item.error is None
        )
        unique = list(dict.fromkeys(questions))
        outcomes = dict(zip(unique, self._classify(unique, _Renewal(self._store, held)), strict=True))
        return [
            ChunkResult(
                leased.chunk,
                [_outcome(item, leased.chunk.options, outcomes) for item in leased.chunk.items],
                leased.attempts,
                self._model_name,
            )
            for leased in held.chunks
        ]

    def _classify(self, questions: Sequence[Question], renewal: _Renewal) -> Sequence[Outcome]:
        try:
            return self._classifier.answer(questions, on_batch=renewal)
        except SentiqError:
            raise
        except Exception:
            logger.exception("a batch failed: scoring its %d texts one by one", len(questions))
            return [self._classify_alone(question, renewal) for question in questions]

    def _classify_alone(self, question: Question, renewal: _Renewal) -> Outcome:
        try:
            return self._classifier.answer([question], on_batch=renewal)[0]
        except SentiqError:
            raise
        except Exception:
            logger.exception("a text of %d characters cannot be scored", len(question.text))
            return ItemError.INFERENCE_FAILED

    def _learn(self, held: Lease, seconds: float) -> None:
        """Follow the rate, so that a lease holds the same time of work whatever the model and machine."""
        cost = sum(ref.cost for ref in held.refs)
        self._cost_per_s += (cost / max(seconds, 1e-3) - self._cost_per_s) * min(1.0, seconds)


class _Renewal:
    """Renews the lease when due, before each forward; raises when nobody wants the verdicts any more."""

    def __init__(self, store: JobStore, held: Lease) -> None:
        self._store, self._held = store, held
        self._every_s = min(store.settings.lease_s / 3, _RENEW_S)
        self._due = time.monotonic() + self._every_s

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            renew(self._store, self._held)
            self._due = time.monotonic() + self._every_s


def _canceled(held: Lease) -> list[ChunkResult]:
    return [ChunkResult.given_up(leased.chunk, ItemError.CANCELED, leased.attempts) for leased in held.chunks]


def _outcome(item: Item, options: Options, outcomes: dict[Question, Outcome]) -> Outcome:
    """Return the outcome of an item; the next equal question of this lease gets it marked as cached."""
    if item.error is not None:
        return item.error
    question = Question(item.text, options)
    outcome = outcomes[question]
    if isinstance(outcome, Verdict) and not outcome.cached:
        outcomes[question] = replace(outcome, cached=True)
    return outcome


def _log(held: Lease, seconds: float) -> None:
    items = sum(len(leased.chunk.items) for leased in held.chunks)
    jobs = ",".join(dict.fromkeys(ref.job_id for ref in held.refs))
    requests = ",".join(dict.fromkeys(leased.request_id for leased in held.chunks if leased.request_id))
    logger.info("scored %d items of %s in %.3f s (requests %s)", items, jobs, seconds, requests)


def _die_with_parent() -> None:
    """Have Linux kill this child when its parent is killed: its wake-ups would never be acknowledged."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
