"""Turns items into a job: records it first, then publishes it, so that an accepted job is never lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from celery import Celery

from api.intake.accepted import Accepted, traced, whose
from api.intake.allowed import class_of, require_allowed_models
from api.intake.aspects import fitted, require_aspects, require_fit
from api.intake.grouping import Grouping
from api.intake.rejections import InvalidRequestError
from api.intake.shadows import Shadow, require_comparable
from api.intake.streams import Source, StreamSubmission
from api.intake.validation import all_scorable, require_scorable
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import ModelRequiredError, StoreUnavailableError, UnknownModelError
from tasks.settings import Settings
from tasks.store import audit, uploads
from tasks.store.audit import Author
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.models import Models
from tasks.store.needed_wakeups import Wakeups
from tasks.tracing import trace
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, QueueClass, Terms
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS, PLAIN, Options
from tasks.vocabulary.tallies import NewGroups

logger = logging.getLogger(__name__)

# An upload holds a chunk until it is full: many uploads may be held up at once.
_FULL_BYTES = 32 * 1024


class Submission:
    """Creates jobs. StoreUnavailableError means that nothing was recorded."""

    def __init__(self, store: JobStore, celery: Celery, settings: Settings, models: Models) -> None:
        self._store = store
        self._wakeups = Wakeups(store, partial(publish_wakeups, celery))
        self._settings = settings
        self._models = models
        self._streams = StreamSubmission(
            store, self._cut, self._publish, lambda cost: self._refuse_too_costly(cost, "?priority")
        )

    def submit(  # noqa: PLR0913  a submission has each of them
        self,
        items: Sequence[Item],
        terms: Terms,
        key: IdempotencyKey | None = None,
        *,
        listed: bool = True,
        strict: bool = False,
        author: Author | None = None,
    ) -> Accepted:
        """Record items as a job, wake workers, and return the job as it was recorded.

        `strict`: an item whose aspects do not fit refuses all. `author`: of the job, for the audit log.
        """
        with trace.span("admission") as span:
            accepted = self._submit(
                items, traced(terms, span), key, listed=listed, strict=strict, author=author
            )
            accepted.describe(span)
        return accepted

    def _submit(  # noqa: PLR0913  a submission has each of them
        self,
        items: Sequence[Item],
        terms: Terms,
        key: IdempotencyKey | None,
        *,
        listed: bool,
        strict: bool,
        author: Author | None,
    ) -> Accepted:
        if key and (known := self._store.remembered(key)):
            return Accepted(self._store.job(known, terms.owner), replayed=True)
        terms = self._with_model(terms, "/")
        items = self._fitted(items, terms, strict=strict)
        job_id = self._store.ids.issue(terms.owner)
        grouping = Grouping(terms.summarize_by)
        chunks = list(self._cut(job_id, grouping.number(items), terms))
        groups = grouping.take()
        job = self._create(job_id, terms, chunks, key, listed=listed, groups=groups, author=author)
        if job.id != job_id:
            return Accepted(job, replayed=True)
        logger.info(
            "accepted %s: %d items, %s (%s, request %s)",
            *(job_id, len(items), job.queue, whose(terms.owner), terms.request_id),
        )
        return Accepted(self._shadowed(job, chunks))

    def submit_stream(self, source: Source, terms: Terms, key: IdempotencyKey | None) -> Accepted:
        """Record items as a job while they come in; see `StreamSubmission.submit`.

        The job of a key keeps its models, whichever there are by now.
        """
        with trace.span("admission") as span:
            accepted = self._submit_stream(source, traced(terms, span), key)
            accepted.describe(span)
        return accepted

    def _submit_stream(self, source: Source, terms: Terms, key: IdempotencyKey | None) -> Accepted:
        made_for = uploads.model_of(self._store, key) if key else None
        terms = replace(terms, model=made_for) if made_for else self._with_model(terms, "?")
        terms = replace(terms, queue_class=class_of(terms, QueueClass.BULK))
        reads = self._models.reads(terms.model)
        require_fit(terms.options, reads, self._models.pair_models, "?aspects")
        if source.rows:
            require_aspects((), terms.options, reads, "?aspects")
        items = fitted(source.items, terms.options, reads)
        if source.strict:
            items = all_scorable(items, source.first_index or 0, self._settings)
        return self._streams.submit(replace(source, items=items), terms, key)

    def wake(self, model: str, chunks: int, name: str) -> None:
        """Wake workers for chunks that may be leased again. Should that fail, the reconciler does it.

        `name` distinguishes these chunks from any others of that time.
        """
        try:
            self._wakeups.wake(model, chunks, name)
        except (NotPublishedError, StoreUnavailableError) as error:
            logger.warning("no wake-up is published for %d chunks of %s: %s", chunks, model, error)

    def _create(  # noqa: PLR0913  a job is made with each of them
        self,
        job_id: str,
        terms: Terms,
        chunks: Sequence[Chunk],
        key: IdempotencyKey | None,
        *,
        listed: bool,
        groups: NewGroups,
        author: Author | None,
    ) -> Job:
        """Record a job in the class that it asks for, or in the one that its size calls for."""
        cost = sum(chunk.cost for chunk in chunks)
        items = sum(len(chunk.items) for chunk in chunks)
        small = items <= self._settings.interactive_items and cost <= self._settings.interactive_chars
        queue_class = class_of(terms, QueueClass.INTERACTIVE if small else QueueClass.BULK)
        if queue_class is QueueClass.INTERACTIVE:
            self._refuse_too_costly(cost, "/priority")
        chosen = replace(terms, queue_class=queue_class)
        return self._store.create(
            job_id,
            chosen,
            chunks,
            key=key,
            listed=listed,
            groups=groups,
            publish=self._publish_counted,
            audit=audit.of_new_job(job_id, author) if author else None,
        )

    def _refuse_too_costly(self, cost: int, pointer: str) -> None:
        limit = self._settings.interactive_chars
        if cost > limit:
            detail = (
                f"an interactive job may cost {limit} characters to read (interactive_chars), "
                f"and this one may cost {cost}; submit it as bulk."
            )
            raise InvalidRequestError.at(pointer, "too_costly", detail)

    def _with_model(self, terms: Terms, mark: str) -> Terms:
        """Name the model of a job; `mark` stands before a field of the request; a retry has none."""
        try:
            terms = replace(terms, model=self._models.resolve(terms.model))
        except (UnknownModelError, ModelRequiredError) as error:
            pointer = "" if terms.retry_of else f"{mark}model"
            raise InvalidRequestError.at(pointer, error.code, str(error)) from error
        require_comparable(terms, self._models, mark)
        require_allowed_models(terms)
        return terms

    def _fitted(self, items: Sequence[Item], terms: Terms, *, strict: bool) -> list[Item]:
        """Return items whose aspects fit the model, or that have an error. Raises InvalidRequestError."""
        reads = self._models.reads(terms.model)
        require_fit(terms.options, reads, self._models.pair_models, "/aspects")
        require_aspects(items, terms.options, reads, "/aspects")
        found = list(fitted(items, terms.options, reads))
        return require_scorable(found, self._settings, "/items/{}/aspects") if strict else found

    def _shadowed(self, job: Job, chunks: Sequence[Chunk]) -> Job:
        """Have a second model score a sample of a job too, if the job asks for it."""
        if not job.terms.compare_with:
            return job
        shadow = Shadow(self._store, self._cut, self._publish, job.id, job.terms)
        shadow.add(chunks)
        shadow.close()
        return shadow.named_by(job)

    def _cut(self, job_id: str, items: Iterable[Item], terms: Terms, start: int = 0) -> Iterator[Chunk]:
        max_items, max_cost = self._settings.chunk_items, self._settings.chunk_chars
        max_tokens = self._models.max_tokens(terms.model)
        limits = (max_items, max_cost)
        return cut(
            job_id, items, *limits, terms.options, max_tokens=max_tokens, start=start, traceparent=terms.trace
        )

    def _publish(self, model: str, chunks: Sequence[Chunk]) -> None:
        try:
            self._wakeups.wake(model, len(chunks), f"{chunks[0].job_id} {chunks[0].start}")
        except (NotPublishedError, StoreUnavailableError) as error:
            logger.warning(
                "%s is recorded but not published; the reconciler will publish it: %s",
                chunks[0].job_id,
                error,
            )

    def _publish_counted(self, model: str, count: int) -> None:
        try:
            self._wakeups.publish(model, count)
        except NotPublishedError as error:
            logger.warning("%d wake-ups are published later, by the reconciler: %s", count, error)


def cut(  # noqa: PLR0913  a chunk has these limits and these terms
    job_id: str,
    items: Iterable[Item],
    max_items: int,
    max_cost: int,
    options: Options = PLAIN,
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
    start: int = 0,
    traceparent: str = "",
) -> Iterator[Chunk]:
    """Cut items into chunks within both limits; an item that exceeds `max_cost` gets a chunk of its own.

    A chunk with `_FULL_BYTES` of texts, ids and `data` gets no more items either. The pack reads `max_tokens`
    at once. `start` is the index of the first item. `traceparent` is that of the admission, if it is traced.
    """
    part: list[Item] = []
    cost = size = 0
    for item in items:
        item_cost = options.with_aspects(item.aspects).cost(item.text, max_tokens)
        if part and (len(part) == max_items or cost + item_cost > max_cost or size >= _FULL_BYTES):
            yield Chunk(job_id, start, part, options, max_tokens, trace.stamp(traceparent))
            start, part, cost, size = start + len(part), [], 0, 0
        part.append(item)
        cost += item_cost
        size += item.held_bytes
    if part:
        yield Chunk(job_id, start, part, options, max_tokens, trace.stamp(traceparent))
