"""What a prefork child does: lease chunks, score them, write the outcomes."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.broker.wakeups import NotPublishedError
from tasks.errors import LeaseCanceledError, LeaseLostError, SentiqError
from tasks.store.counters import LocalCounters, code_points_read
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder, Lease, LeasedChunk, ReturnReason, finish, lease, renew, return_chunk
from tasks.store.needed_wakeups import Wakeups
from tasks.vocabulary.chunks import ChunkRef, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.options import Options
from tasks.vocabulary.verdicts import AspectVerdicts, Verdict
from worker.engines.failure import EngineFailedError
from worker.process.fork_state import KnownLogits
from worker.process.lease_spans import LeaseSpans
from worker.scoring.question import Question

if TYPE_CHECKING:
    from worker.scoring.classifier import Classifier

logger = logging.getLogger(__name__)

Outcomes = dict[Question, Outcome]

# Errors after which this process must score nothing more: no text is to blame for them.
SICK = (EngineFailedError, MemoryError)
# Often enough that a cancel need not wait for the longest lease.
_RENEW_S = 0.5
# Three times the aim: the rate is only known roughly, and what is half scored is scored again elsewhere.
_LEASE_STRETCH = 3
# The share of the task's time limit that the first chunk of a lease may take: it is killed at the limit.
_FIRST_CHUNK_SHARE = 0.5
_PROBE_S = 30


class Child:
    """Scores what the job store leases to it."""

    def __init__(  # noqa: PLR0913  the starter passes each of them once
        self,
        classifier: Classifier,
        store: JobStore,
        holder: Holder,
        model: dict[str, str],
        counters: LocalCounters,
        *,
        known: KnownLogits,
        wakeups: Wakeups,
        finished: Callable[[int], None],
    ) -> None:
        """`wakeups` brings others to returned chunks; `known` has the logits that known texts must get.

        `finished` is called with the number of items whose outcomes were written.
        Raises EngineFailedError when they get others.
        """
        self._classifier = classifier
        self._store = store
        self._settings = store.settings
        self._holder = holder
        self._model = model
        self._counters = counters
        self._known = known
        self._wakeups = wakeups
        self._token = 0
        self._model_name = f"{model['id']}@{model['revision']}"
        self._finished = finished
        self._cost_per_s = store.settings.chunk_chars / store.settings.lease_work_s
        self._probe()

    def work(self, *, woken: bool = True) -> bool:
        """Lease once and score what was leased; return False if nothing waited, as when others have done it.

        `woken`: by a wake-up, and not by itself. After True, work again, or leave. Raises an error of SICK
        when the engine failed; the lease is returned then, and this process must end.
        """
        if time.monotonic() >= self._probe_at:
            self._probe()
        budget = int(self._cost_per_s * self._settings.lease_work_s)
        begun_ns = time.time_ns()
        held = lease(self._store, self._holder, budget, woken=woken)
        if held is None:
            return False
        self._token = held.token
        with LeaseSpans(held, begun_ns) as spans:
            self._use(held, spans)
        return True

    def leave(self) -> None:
        """Wake another child if something waits, since this one leases no more for its wake-up.

        What fails here is left to the reconciler.
        """
        try:
            self._wakeups.leave(self._holder, self._token)
        except (SentiqError, NotPublishedError, MemoryError) as error:
            logger.warning("another child is woken later: %s", error)

    def _use(self, held: Lease, spans: LeaseSpans) -> None:
        """Score a lease. Raises an error of SICK, with the lease returned."""
        try:
            self._answer(held, spans)
        except LeaseCanceledError as error:
            canceled = _canceled(held)
            finish(self._store, held, canceled, self._model)
            spans.fail(error.code)
            spans.written(dict(zip(held.refs, canceled, strict=True)))
            logger.info("dropped %d chunks that were canceled", len(held.chunks))
        except LeaseLostError as error:
            spans.fail(error.code)
            logger.warning("%d chunks are no longer ours", len(held.chunks))
        except SICK:
            self._return(held, held.chunks, ReturnReason.SICK)
            self.leave()
            raise

    def _answer(self, held: Lease, spans: LeaseSpans) -> None:
        """Write the outcomes of a lease; return what is not scored when its time has ended."""
        started = time.perf_counter()
        results = self._score(held)
        seconds = time.perf_counter() - started
        done = replace(held, chunks=[leased for leased in held.chunks if leased.ref in results])
        counters = self._counters.take() if results else {}  # They are written with the outcomes.
        written = finish(self._store, done, list(results.values()), self._model, counters)
        self._learn(counters)
        if results:
            _log(done, seconds)
        if written == len(results):
            self._finished(sum(len(leased.chunk.items) for leased in done.chunks))
            spans.written(results)
        else:
            spans.fail(LeaseLostError.code)
            logger.warning(
                "%d chunks were no longer ours: their outcomes are dropped", len(results) - written
            )
        rest = [leased for leased in held.chunks if leased.ref not in results]
        if not results:
            self._return(held, rest[:1], ReturnReason.TIME, split=True)
            rest = rest[1:]
        if rest:
            self._return(held, rest, ReturnReason.TIME)

    def _score(self, held: Lease) -> dict[ChunkRef, ChunkResult]:
        """Score each distinct question of a lease once; return the results of the chunks that became whole.

        When the lease takes too long, only its first chunk is still scored, and a chunk of one item to its
        end: so each lease gets something done.
        """
        begun, renewal, first = time.monotonic(), _Renewal(self._store, held), held.chunks[0]
        limit_s = self._settings.task_time_limit_s * _FIRST_CHUNK_SHARE
        work_s = min(limit_s, self._settings.lease_work_s * _LEASE_STRETCH)
        outcomes: Outcomes = {}
        self._ask(held.chunks, outcomes, renewal, begun + work_s)
        if not _whole(first, outcomes):
            until = begun + limit_s if len(first.chunk.items) > 1 else math.inf
            self._ask([first], outcomes, renewal, until)
        return {
            leased.ref: ChunkResult(
                leased.chunk,
                [_outcome(item, leased.chunk.options, outcomes) for item in leased.chunk.items],
                leased.attempts,
                self._model_name,
            )
            for leased in held.chunks
            if _whole(leased, outcomes)
        }

    def _ask(
        self, chunks: Sequence[LeasedChunk], outcomes: Outcomes, renewal: _Renewal, until: float
    ) -> None:
        """Add the outcomes of the distinct questions that have none, as far as they are reached in time."""
        asked = dict.fromkeys(question for leased in chunks for question in _questions(leased))
        questions = [question for question in asked if question not in outcomes]
        for question, outcome in zip(questions, self._classify(questions, renewal, until), strict=True):
            if outcome is not None:
                outcomes[question] = outcome

    def _classify(
        self, questions: Sequence[Question], renewal: _Renewal, until: float
    ) -> Sequence[Outcome | None]:
        try:
            return self._classifier.answer_until(questions, until, on_batch=renewal)
        except (SentiqError, *SICK):
            raise
        except Exception:
            logger.exception("a batch failed: scoring its %d texts one by one", len(questions))
            return [self._classify_alone(question, renewal, until) for question in questions]

    def _classify_alone(self, question: Question, renewal: _Renewal, until: float) -> Outcome | None:
        try:
            return self._classifier.answer_until([question], until, on_batch=renewal)[0]
        except (SentiqError, *SICK):
            raise
        except Exception:
            logger.exception("a text of %d characters cannot be scored", len(question.text))
            return ItemError.INFERENCE_FAILED

    def _return(
        self, held: Lease, chunks: Sequence[LeasedChunk], reason: ReturnReason, *, split: bool = False
    ) -> None:
        """Give chunks back to the store and wake others up for them.

        What fails here is left to the reconciler, which misses the child, the lease or the wake-ups.
        """
        logger.warning("returning %d chunks of %d: %s", len(chunks), len(held.chunks), reason)
        try:
            pending = sum(return_chunk(self._store, held, leased, reason, split=split) for leased in chunks)
            self._wakeups.wake(held.queue.model, pending, f"returned {held.token} {reason} {len(chunks)}")
        except (SentiqError, NotPublishedError, MemoryError) as error:
            logger.warning("not all was returned: %s", error)

    def _probe(self) -> None:
        """Raise EngineFailedError when known texts get other logits than the first child gave them."""
        agreed = self._known.agree(self._classifier.known_logits())
        self._counters.take()  # Metrics and the rate are about work for callers.
        if not agreed:
            message = "known texts get other logits than before"
            raise EngineFailedError(message)
        self._probe_at = time.monotonic() + _PROBE_S

    def _learn(self, counters: Mapping[str, int]) -> None:
        """Follow the model's rate, so that a lease holds the same time of work on any machine.

        Only what was computed teaches: what is cached, equal to another text or not scored says nothing.
        """
        read, seconds = code_points_read(counters), counters.get("forward_s:sum", 0) / 1000
        if read and seconds:
            self._cost_per_s += (read / seconds - self._cost_per_s) * min(1.0, seconds)


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


def _questions(leased: LeasedChunk) -> Iterator[Question]:
    chunk = leased.chunk
    return (_question(item, chunk.options) for item in chunk.items if item.error is None)


def _question(item: Item, options: Options) -> Question:
    return Question(item.text, options.with_aspects(item.aspects))


def _whole(leased: LeasedChunk, outcomes: Outcomes) -> bool:
    return all(question in outcomes for question in _questions(leased))


def _outcome(item: Item, options: Options, outcomes: Outcomes) -> Outcome:
    """Return the outcome of an item; the next equal question of this lease gets it marked as cached."""
    if item.error is not None:
        return item.error
    question = _question(item, options)
    outcome = outcomes[question]
    if isinstance(outcome, Verdict | AspectVerdicts) and not outcome.cached:
        outcomes[question] = replace(outcome, cached=True)
    return outcome


def _log(held: Lease, seconds: float) -> None:
    items = sum(len(leased.chunk.items) for leased in held.chunks)
    jobs = ",".join(dict.fromkeys(ref.job_id for ref in held.refs))
    requests = ",".join(dict.fromkeys(leased.request_id for leased in held.chunks if leased.request_id))
    logger.info("scored %d items of %s in %.3f s (requests %s)", items, jobs, seconds, requests)
