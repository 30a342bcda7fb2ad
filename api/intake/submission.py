"""Turning texts into a job: record first, then publish, so that what was accepted cannot be lost."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from celery import Celery

from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.errors import (
    IdempotencyKeyInFlightError,
    StoreUnavailableError,
    UploadClosedError,
    UploadIncompleteError,
)
from tasks.settings import Settings
from tasks.store import uploads
from tasks.store.cancel import delete_job
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import PLAIN_TERMS, JobStore
from tasks.store.keys import ChunkRef
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, JobError, QueueClass, Terms
from tasks.vocabulary.options import PLAIN, Options

logger = logging.getLogger(__name__)

# Texts that come in are recorded as soon as there are so many chunks of them, or after so long.
_CHUNK_BATCH = 16
_MAX_CHUNK_DELAY_S = 1.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job, and whether an earlier request with the same idempotency key made it."""

    job: Job
    replayed: bool = False


class Submission:
    """Creates jobs. Raises StoreUnavailableError when nothing was recorded, hence nothing promised."""

    def __init__(self, store: JobStore, celery: Celery, settings: Settings) -> None:
        self._store = store
        self._celery = celery
        self._settings = settings

    def submit(
        self, items: Sequence[Item], terms: Terms = PLAIN_TERMS, key: IdempotencyKey | None = None
    ) -> Accepted:
        """Record the items as one job, send its messages, return it as it was recorded."""
        if key and (known := self._store.remembered(key)):
            return Accepted(self._store.job(known, terms.owner), replayed=True)
        small = len(items) <= self._settings.interactive_items
        queue_class = terms.queue_class or (QueueClass.INTERACTIVE if small else QueueClass.BULK)
        job_id = self._store.ids.issue(terms.owner)
        chunks = list(self._cut(job_id, items, terms.options))
        job = self._store.create(chunks, queue_class, terms, key=key)
        if job.id != job_id:
            return Accepted(job, replayed=True)
        logger.info(
            "accepted %s: %d items, %s (request %s)", job_id, len(items), queue_class, terms.request_id
        )
        self._publish(queue_class, chunks)
        return Accepted(job)

    def submit_stream(
        self, items: Iterable[Item], terms: Terms, key: IdempotencyKey | None, body: Callable[[], str]
    ) -> Accepted:
        """Record and send items while they come in; `body` tells the hash of the body once they have.

        Raises UploadIncompleteError when they end early, UploadClosedError when the job ended before them.
        After any other error nothing of the job is left.
        """
        job_id, key = self._store.ids.issue(terms.owner), replace(key, body=None) if key else None
        if key and uploads.reserve_key(self._store, key, job_id):
            return self._replay(items, terms.owner, key, body)
        try:
            recorded = self._record(job_id, items, terms, key)
        except (UploadIncompleteError, UploadClosedError):
            uploads.close(self._store, job_id, key, JobError.UPLOAD_INCOMPLETE)
            raise
        except BaseException:
            self._undo(job_id, terms.owner, key)
            raise
        uploads.close(self._store, job_id, replace(key, body=body()) if key else None)
        logger.info("accepted %s: %d items (request %s)", job_id, recorded, terms.request_id)
        return Accepted(self._store.job(job_id, terms.owner))

    def _record(self, job_id: str, items: Iterable[Item], terms: Terms, key: IdempotencyKey | None) -> int:
        queue_class = terms.queue_class or QueueClass.BULK
        recorded = 0
        for chunks in _batched(self._cut(job_id, items, terms.options)):
            if not recorded:
                self._store.create(
                    chunks, queue_class, terms, key=key, idle_timeout_ms=uploads.IDLE_TIMEOUT_MS
                )
            elif not uploads.append_chunks(self._store, chunks, queue_class, key):
                raise UploadClosedError(job_id)
            recorded += sum(len(chunk.items) for chunk in chunks)
            self._publish(queue_class, chunks)
        return recorded

    def _undo(self, job_id: str, owner: str, key: IdempotencyKey | None) -> None:
        """Erase a job that is half made; should Redis go, a reconciler closes it when it is back."""
        with contextlib.suppress(StoreUnavailableError):
            delete_job(self._store, job_id, owner)
            uploads.close(self._store, job_id, key)

    def _replay(
        self, items: Iterable[Item], owner: str, key: IdempotencyKey, body: Callable[[], str]
    ) -> Accepted:
        """Read all that comes in again, because only then its hash is known."""
        for _ in items:
            pass
        known = self._store.remembered(replace(key, body=body()))
        if known is None:
            raise IdempotencyKeyInFlightError(
                key.text
            )  # forgotten in this moment: the next try makes a new job
        return Accepted(self._store.job(known, owner), replayed=True)

    def _cut(self, job_id: str, items: Iterable[Item], options: Options) -> Iterator[Chunk]:
        return cut(job_id, items, self._settings.chunk_items, self._settings.chunk_chars, options)

    def _publish(self, queue_class: QueueClass, chunks: Sequence[Chunk]) -> None:
        try:
            publish_wakeups(self._celery, queue_class, [ChunkRef.of(chunk) for chunk in chunks])
        except NotPublishedError as error:
            logger.warning(
                "%s is recorded but not published, the reconciler will send it: %s", chunks[0].job_id, error
            )


def cut(
    job_id: str, items: Iterable[Item], max_items: int, max_cost: int, options: Options = PLAIN
) -> Iterator[Chunk]:
    """Cut items into chunks of neighbours within both limits; a single item may exceed `max_cost`."""
    part: list[Item] = []
    start = spent = 0
    for item in items:
        cost = options.cost(len(item.text))
        if part and (len(part) == max_items or spent + cost > max_cost):
            yield Chunk(job_id, start, part, options)
            start, part, spent = start + len(part), [], 0
        part.append(item)
        spent += cost
    if part:
        yield Chunk(job_id, start, part, options)


def _batched(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Gather chunks that come in quickly."""
    batch: list[Chunk] = []
    since = time.monotonic()
    for chunk in chunks:
        batch.append(chunk)
        if len(batch) == _CHUNK_BATCH or time.monotonic() - since > _MAX_CHUNK_DELAY_S:
            yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch
