"""What a prefork child does: hold one model, lease chunks, score them, write the outcomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.errors import LeaseCanceledError, LeaseLostError, SentiqError
from tasks.store.counters import LocalCounters
from tasks.store.jobs import JobStore
from tasks.store.keys import Lease
from tasks.store.leases import Holder, finish, lease, renew
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import Verdict
from worker.scoring.question import Question

if TYPE_CHECKING:
    from worker.scoring.classifier import Classifier

logger = logging.getLogger(__name__)

# A child has nobody waiting for it, and a scored text is worth more than a quick error.
STORE_PATIENCE = 15
# Whoever cancels a job does not want to wait for its longest lease.
_LOOK_S = 0.5


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
        """Lease once and score what was leased; a message whose work others took over finds nothing."""
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
        items = sum(len(chunk.items) for chunk in held.chunks)
        jobs = ",".join(dict.fromkeys(ref.job_id for ref in held.refs))
        requests = ",".join(dict.fromkeys(filter(None, held.requests)))
        logger.info("scored %d items of %s in %.3f s (requests %s)", items, jobs, seconds, requests)
        if written < len(results):
            logger.warning("%d chunks of %s were no longer ours", len(results) - written, jobs)

    def _score(self, held: Lease) -> list[ChunkResult]:
        questions = (
            Question(item.text, chunk.options)
            for chunk in held.chunks
            for item in chunk.items
            if item.error is None
        )
        unique = list(dict.fromkeys(questions))
        outcomes = dict(zip(unique, self._classify(unique, _Renewal(self._store, held)), strict=True))
        return [
            ChunkResult(
                chunk,
                [_outcome(item, chunk.options, outcomes) for item in chunk.items],
                ref.attempts,
                self._model_name,
            )
            for ref, chunk in zip(held.refs, held.chunks, strict=True)
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
        cost = sum(chunk.cost for chunk in held.chunks)
        self._cost_per_s += (cost / max(seconds, 1e-3) - self._cost_per_s) * min(1.0, seconds)


class _Renewal:
    """Called between forwards: keeps the lease, and ends the work if all of it was canceled."""

    def __init__(self, store: JobStore, held: Lease) -> None:
        self._store, self._held = store, held
        self._every_s = min(store.settings.lease_s / 3, _LOOK_S)
        self._due = time.monotonic() + self._every_s

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            renew(self._store, self._held)
            self._due = time.monotonic() + self._every_s


def _canceled(held: Lease) -> list[ChunkResult]:
    return [
        ChunkResult.given_up(chunk, ItemError.CANCELED, ref.attempts)
        for ref, chunk in zip(held.refs, held.chunks, strict=True)
    ]


def _outcome(item: Item, options: Options, outcomes: dict[Question, Outcome]) -> Outcome:
    """The outcome of the item; whoever asks the same again in this lease gets it without any work."""
    if item.error is not None:
        return item.error
    question = Question(item.text, options)
    outcome = outcomes[question]
    if isinstance(outcome, Verdict) and not outcome.cached:
        outcomes[question] = replace(outcome, cached=True)
    return outcome
