"""What a prefork child does: lease chunks, score them, write the outcomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.errors import LeaseCanceledError, LeaseLostError, SentiqError
from tasks.store.counters import LocalCounters
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder, Lease, finish, lease, renew
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import Verdict
from worker.scoring.question import Question

if TYPE_CHECKING:
    from worker.scoring.classifier import Classifier

logger = logging.getLogger(__name__)

# Often enough that a cancel need not wait for the longest lease.
_RENEW_S = 0.5


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
