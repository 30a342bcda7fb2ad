"""Turns items into a job: records it first, then publishes it, so that an accepted job is never lost."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from celery import Celery

from api.intake.grouping import Grouping
from api.intake.rejections import InvalidRequestError
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import (
    IdempotencyKeyInFlightError,
    ModelRequiredError,
    ShareExceededError,
    StoreUnavailableError,
    UnknownModelError,
    UploadClosedError,
    UploadIncompleteError,
)
from tasks.settings import Settings
from tasks.store import uploads
from tasks.store.cancel import delete_job
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.models import Models
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, JobError, QueueClass, Terms
from tasks.vocabulary.options import DEFAULT_MAX_TOKENS, PLAIN, Options
from tasks.vocabulary.tallies import NewGroups

logger = logging.getLogger(__name__)

# The chunks of a stream are recorded in batches: when there are that many, or after that time.
_CHUNK_BATCH = 16
_MAX_CHUNK_DELAY_S = 1.0
_INSIST_PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted job; `replayed` if an earlier request with the same idempotency key made it."""

    job: Job
    replayed: bool = False


class Submission:
    """Creates jobs. StoreUnavailableError means that nothing was recorded."""

    def __init__(self, store: JobStore, celery: Celery, settings: Settings, models: Models) -> None:
        self._store = store
        self._celery = celery
        self._settings = settings
        self._models = models

    def submit(
        self, items: Sequence[Item], terms: Terms, key: IdempotencyKey | None = None, *, listed: bool = True
    ) -> Accepted:
        """Record items as a job, wake workers, and return the job as it was recorded."""
        if key and (known := self._store.remembered(key)):
            return Accepted(self._store.job(known, terms.owner), replayed=True)
        terms = self._with_model(terms, "/model")
        job_id = self._store.ids.issue(terms.owner)
        grouping = Grouping(terms.summarize_by)
        chunks = list(self._cut(job_id, grouping.number(items), terms))
        job = self._create(job_id, terms, chunks, key, listed=listed, groups=grouping.take())
        if job.id != job_id:
            return Accepted(job, replayed=True)
        logger.info(
            "accepted %s: %d items, %s (%s, request %s)",
            *(job_id, len(items), job.queue, whose(terms.owner), terms.request_id),
        )
        self._publish(job.queue.model, chunks)
        return Accepted(job)

    def submit_stream(
        self, items: Iterable[Item], terms: Terms, key: IdempotencyKey | None, body_hash: Callable[[], str]
    ) -> Accepted:
        """Record items as a job while they come in, and return it; workers begin before the last item.

        `body_hash` is called after the last item. UploadIncompleteError, raised by `items`, keeps what came
        as a job with an error. UploadClosedError means that the job was canceled, was deleted or timed out
        meanwhile. After any other error nothing of the job is left.
        """
        terms = self._with_model(terms, "" if terms.retry_of else "?model")
        job_id, key = self._store.ids.issue(terms.owner), replace(key, body=None) if key else None
        if key and uploads.reserve_key(self._store, key, job_id):
            return self._replay(items, terms.owner, key, body_hash)
        try:
            recorded = self._record(job_id, items, terms, key)
            uploads.close(self._store, job_id, replace(key, body=body_hash()) if key else None)
        except (UploadIncompleteError, UploadClosedError):
            _insist(lambda: uploads.close(self._store, job_id, key, JobError.UPLOAD_INCOMPLETE))
            raise
        except BaseException:
            _insist(lambda: self._undo(job_id, terms.owner, key))
            raise
        logger.info(
            "accepted %s: %d items (%s, request %s)",
            *(job_id, recorded, whose(terms.owner), terms.request_id),
        )
        return Accepted(self._store.job(job_id, terms.owner))

    def _create(  # noqa: PLR0913  a job is made with each of them
        self,
        job_id: str,
        terms: Terms,
        chunks: Sequence[Chunk],
        key: IdempotencyKey | None,
        *,
        listed: bool,
        groups: NewGroups,
    ) -> Job:
        """Record a job in the class that it asks for, or in the one that its size calls for."""
        cost, queue_class = sum(chunk.cost for chunk in chunks), terms.queue_class
        if queue_class is QueueClass.INTERACTIVE:
            self._refuse_too_costly(cost, "/priority")
        elif queue_class is None:
            items = sum(len(chunk.items) for chunk in chunks)
            small = items <= self._settings.interactive_items and cost <= self._settings.interactive_chars
            queue_class = QueueClass.INTERACTIVE if small else QueueClass.BULK
        try:
            chosen = replace(terms, queue_class=queue_class)
            return self._store.create(job_id, chosen, chunks, key=key, listed=listed, groups=groups)
        except ShareExceededError as refusal:
            if terms.queue_class or refusal.fits_later:
                raise
            bulk = replace(terms, queue_class=QueueClass.BULK)
            return self._store.create(job_id, bulk, chunks, key=key, listed=listed, groups=groups)

    def _refuse_too_costly(self, cost: int, pointer: str) -> None:
        limit = self._settings.interactive_chars
        if cost > limit:
            detail = (
                f"an interactive job may cost {limit} characters to read (interactive_chars), "
                f"and this one may cost {cost}; submit it as bulk."
            )
            raise InvalidRequestError.at(pointer, "too_costly", detail)

    def _record(self, job_id: str, items: Iterable[Item], terms: Terms, key: IdempotencyKey | None) -> int:
        recorded = cost = 0
        grouping = Grouping(terms.summarize_by)
        for chunks in _batched(self._cut(job_id, grouping.number(items), terms)):
            cost += sum(chunk.cost for chunk in chunks)
            if terms.queue_class is QueueClass.INTERACTIVE:
                self._refuse_too_costly(cost, "?priority")
            if not recorded:
                timeout_ms = uploads.IDLE_TIMEOUT_MS
                self._store.create(
                    job_id, terms, chunks, key=key, idle_timeout_ms=timeout_ms, groups=grouping.take()
                )
            elif not uploads.append_chunks(
                self._store, chunks, terms.queue, key, terms.owner, groups=grouping.take()
            ):
                raise UploadClosedError(job_id)
            recorded += sum(len(chunk.items) for chunk in chunks)
            self._publish(terms.model, chunks)
        return recorded

    def _undo(self, job_id: str, owner: str, key: IdempotencyKey | None) -> None:
        """Delete a half-made job, and let its key be used again."""
        delete_job(self._store, job_id, owner)
        uploads.close(self._store, job_id, key)

    def _replay(
        self, items: Iterable[Item], owner: str, key: IdempotencyKey, body_hash: Callable[[], str]
    ) -> Accepted:
        """Return the job that the key made. The hash to compare is known only after the last item."""
        for _ in items:
            pass
        known = self._store.remembered(replace(key, body=body_hash()))
        if known is None:
            # The key expired a moment ago: the next try makes a new job.
            raise IdempotencyKeyInFlightError(key.text)
        return Accepted(self._store.job(known, owner), replayed=True)

    def _with_model(self, terms: Terms, pointer: str) -> Terms:
        """Name the model of a job; `pointer` is where the request does."""
        try:
            return replace(terms, model=self._models.resolve(terms.model))
        except (UnknownModelError, ModelRequiredError) as error:
            raise InvalidRequestError.at(pointer, error.code, str(error)) from error

    def _cut(self, job_id: str, items: Iterable[Item], terms: Terms) -> Iterator[Chunk]:
        max_items, max_cost = self._settings.chunk_items, self._settings.chunk_chars
        max_tokens = self._models.max_tokens(terms.model)
        return cut(job_id, items, max_items, max_cost, terms.options, max_tokens=max_tokens)

    def _publish(self, model: str, chunks: Sequence[Chunk]) -> None:
        try:
            publish_wakeups(self._celery, model, len(chunks))
        except NotPublishedError as error:
            logger.warning(
                "%s is recorded but not published; the reconciler will publish it: %s",
                chunks[0].job_id,
                error,
            )


def _insist(act: Callable[[], object]) -> None:
    """Act now; should Redis fail, try again in the background, until a reconciler closes the upload as idle.

    Else the caller's next try would get 409 for a minute, and the texts be scored twice.
    """

    def persist() -> None:
        for _ in range(int(uploads.IDLE_TIMEOUT_MS / 1000 / _INSIST_PAUSE_S)):
            time.sleep(_INSIST_PAUSE_S)
            with contextlib.suppress(StoreUnavailableError):
                act()
                return

    try:
        act()
    except StoreUnavailableError:
        threading.Thread(target=persist, name="upload-cleanup", daemon=True).start()


def whose(owner: str) -> str:
    """Return who made a job, for the log: the id of a key is no secret."""
    return f"key {owner}" if owner else "no key"


def cut(  # noqa: PLR0913  a chunk has these limits and these terms
    job_id: str,
    items: Iterable[Item],
    max_items: int,
    max_cost: int,
    options: Options = PLAIN,
    *,
    max_tokens: int = DEFAULT_MAX_TOKENS,
) -> Iterator[Chunk]:
    """Cut items into chunks within both limits; an item that exceeds `max_cost` gets a chunk of its own.

    The pack reads `max_tokens` at once.
    """
    part: list[Item] = []
    start = cost = 0
    for item in items:
        item_cost = options.cost(item.text, max_tokens)
        if part and (len(part) == max_items or cost + item_cost > max_cost):
            yield Chunk(job_id, start, part, options, max_tokens)
            start, part, cost = start + len(part), [], 0
        part.append(item)
        cost += item_cost
    if part:
        yield Chunk(job_id, start, part, options, max_tokens)


def _batched(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Gather chunks that come in quickly into batches."""
    batch: list[Chunk] = []
    since = time.monotonic()
    for chunk in chunks:
        batch.append(chunk)
        if len(batch) == _CHUNK_BATCH or time.monotonic() - since > _MAX_CHUNK_DELAY_S:
            yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch
