"""Turns a stream of items into a job while they come in: from one request, or from several that resume it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from api.intake.accepted import Accepted, whose
from api.intake.feeding import Feeding
from api.intake.grouping import Grouping
from api.intake.rejections import InvalidRequestError
from api.intake.shadows import Cut, Publish, Shadow, ShadowedFeeding
from tasks.errors import (
    IdempotencyKeyReusedError,
    UploadClosedError,
    UploadIncompleteError,
    UploadOffsetError,
)
from tasks.store import uploads
from tasks.store.idempotency import OPEN, IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms

logger = logging.getLogger(__name__)

# The chunks of a stream are recorded in batches: when there are that many, or so large, or after that time.
_CHUNK_BATCH = 16
_BATCH_BYTES = 64 * 1024
_MAX_CHUNK_DELAY_S = 1.0
_SKIPPED_BATCH = 64


@dataclass(frozen=True, slots=True)
class Source:
    """Items of a request. `seed` is the hash of their terms; empty where the request brings no items.

    `first_index`, if given, is the index of the first one: those before it are in the job already. `strict`:
    one that cannot be scored refuses all. `rows`: they are rows, which have no aspects of their own.
    """

    items: Iterable[Item]
    seed: str
    first_index: int | None = None
    strict: bool = False
    rows: bool = False


class StreamSubmission:
    """Creates jobs from streams. StoreUnavailableError means that the same request may be sent again."""

    def __init__(
        self,
        store: JobStore,
        cut: Cut,
        publish: Publish,
        check_cost: Callable[[int], None],
    ) -> None:
        """Take what divides items into chunks, from an index on, what wakes workers, and what refuses a cost.

        `check_cost` is called with the cost so far of an interactive job.
        """
        self._store = store
        self._cut = cut
        self._publish = publish
        self._check_cost = check_cost

    def submit(self, source: Source, terms: Terms, key: IdempotencyKey | None) -> Accepted:
        """Record items as a job while they come in, and return it; workers begin before the last item.

        The items of a key whose upload is open are added to that job. UploadIncompleteError, raised by the
        items, keeps what came: open for a request that resumes it, or closed as a job with an error.
        UploadClosedError means that the job was canceled, was deleted or timed out meanwhile. Where Redis
        fails, or gzip ends early, an upload with a key stays open too; after any other error nothing of the
        job is left.
        """
        terms = replace(terms, queue_class=terms.queue_class or QueueClass.BULK)
        resumable = key is not None and terms.queue_class is QueueClass.BULK
        feed, job_id = Feed.begin(source.seed, resumable=resumable), self._store.ids.issue(terms.owner)
        known = uploads.reserve_key(self._store, key, job_id) if key else None
        if key and known:
            fingerprint, job_id = known
            if fingerprint == OPEN:
                return self._resume(source, terms, key, feed, job_id)
            return self._replay(source, terms.owner, key, feed, known)
        feeding = self._feed(job_id, terms, feed, key)
        if source.first_index:
            feeding.close_incomplete()
            raise UploadOffsetError(0)
        self._record(source.items, feeding, terms)
        return Accepted(self._store.job(job_id, terms.owner))

    def _feed(self, job_id: str, terms: Terms, feed: Feed, key: IdempotencyKey | None) -> Feeding:
        """Return the upload of a job as this request feeds it."""
        if not terms.compare_with:
            return Feeding(self._store, job_id, terms, feed, key)
        shadow = Shadow(self._store, self._cut, self._publish, job_id, terms)
        if key and feed.recorded:
            shadow.resume(key)
        return ShadowedFeeding(self._store, job_id, terms, feed, key, shadow=shadow)

    def _resume(self, source: Source, terms: Terms, key: IdempotencyKey, feed: Feed, job_id: str) -> Accepted:
        """Add to an open upload what it lacks. A request without items learns how many are recorded."""
        try:
            taken = uploads.take(self._store, job_id, feed, key, any_terms=not source.seed)
        except UploadClosedError:
            uploads.close(self._store, job_id, key)  # the next request with the key makes another job
            raise
        feeding, items = self._feed(job_id, terms, taken, key), iter(source.items)
        try:
            more = self._skip(source, items, feed, feeding, key)
        except UploadIncompleteError as error:
            feeding.break_off(error)
            raise
        except BaseException:
            feeding.leave()
            raise
        if more:
            self._record(items, feeding, terms)
        else:
            feeding.leave()
        return Accepted(self._store.job(job_id, terms.owner), replayed=True)

    def _skip(
        self, source: Source, items: Iterator[Item], feed: Feed, feeding: Feeding, key: IdempotencyKey
    ) -> bool:
        """Pass over the items that are recorded; return False if there are no items at all.

        Raises UploadOffsetError if the source begins elsewhere, IdempotencyKeyReusedError if its items are
        others than those recorded.
        """
        recorded = feeding.feed.recorded
        if source.first_index:
            if source.first_index != recorded:
                raise UploadOffsetError(recorded, feeding.job_id)
            return True
        while feed.recorded < recorded:
            part = list(islice(items, min(_SKIPPED_BATCH, recorded - feed.recorded)))
            if not part and not feed.recorded:
                return False
            if not part:
                raise IdempotencyKeyReusedError(key.text)
            feed = feed.behind(part)
            feeding.keep()
        if feed.digest != feeding.feed.digest:
            raise IdempotencyKeyReusedError(key.text)
        return True

    def _record(self, items: Iterable[Item], feeding: Feeding, terms: Terms) -> None:
        """Record items and close the upload; what fails decides what is left of it."""
        try:
            self._add_all(items, feeding, terms)
            feeding.close()
        except UploadIncompleteError as error:
            feeding.break_off(error)
            raise
        except UploadClosedError:
            feeding.close_incomplete()
            raise
        except BaseException as error:
            feeding.give_up(error)
            raise
        logger.info(
            "accepted %s: %d items (%s, request %s)",
            *(feeding.job_id, feeding.feed.recorded, whose(terms.owner), terms.request_id),
        )

    def _add_all(self, items: Iterable[Item], feeding: Feeding, terms: Terms) -> None:
        """Record items as they come in. Raises UploadIncompleteError when those that came are recorded."""
        arriving, cost = _Arriving(items, feeding.keep), 0
        grouping = Grouping(terms.summarize_by, feeding.known_values())
        numbered = grouping.number(arriving)
        for chunks in _batched(self._cut(feeding.job_id, numbered, terms, feeding.feed.recorded)):
            cost += sum(chunk.cost for chunk in chunks)
            if terms.queue_class is QueueClass.INTERACTIVE:
                self._check_cost(cost)
            feeding.add(chunks, grouping.take())
            if not terms.waits(time.time()):
                self._publish(terms.model, chunks)
        if arriving.error:
            raise arriving.error
        if not feeding.feed.recorded:
            raise InvalidRequestError.at("", "no_items", "give at least one item.")

    def _replay(
        self, source: Source, owner: str, key: IdempotencyKey, feed: Feed, known: tuple[str, str]
    ) -> Accepted:
        """Return the job that the key made, if it was of the same items, or if the request brings none."""
        fingerprint, job_id = known
        if source.first_index:
            raise UploadOffsetError(self._store.job(job_id, owner).counts.total, job_id)
        items = iter(source.items)
        while part := list(islice(items, _SKIPPED_BATCH)):
            feed = feed.behind(part)
        if feed.recorded and feed.digest != fingerprint:
            raise IdempotencyKeyReusedError(key.text)
        return Accepted(self._store.job(job_id, owner), replayed=True)


class _Arriving:
    """Items until the upload ends early: `error` says why, so that those before it can be recorded first."""

    def __init__(self, items: Iterable[Item], keep: Callable[[], None]) -> None:
        self.error: UploadIncompleteError | None = None
        self._items = items
        self._keep = keep

    def __iter__(self) -> Iterator[Item]:
        try:
            for item in self._items:
                self._keep()
                yield item
        except UploadIncompleteError as error:
            self.error = error


def _batched(chunks: Iterable[Chunk]) -> Iterator[list[Chunk]]:
    """Gather chunks that come in quickly into batches."""
    batch: list[Chunk] = []
    size, since = 0, time.monotonic()
    for chunk in chunks:
        batch.append(chunk)
        size += sum(item.held_bytes for item in chunk.items)
        late = time.monotonic() - since > _MAX_CHUNK_DELAY_S
        if len(batch) == _CHUNK_BATCH or size >= _BATCH_BYTES or late:
            yield batch
            batch, size, since = [], 0, time.monotonic()
    if batch:
        yield batch
