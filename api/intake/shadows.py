"""Has a second model score a sample of a job too, while the job is recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from api.intake.aspects import PAIR
from api.intake.feeding import Feeding, insist
from api.intake.rejections import InvalidRequestError
from tasks.errors import (
    RefusedError,
    SentiqError,
    StoreUnavailableError,
    UnknownModelError,
    UploadClosedError,
)
from tasks.store import shadows, uploads
from tasks.store.idempotency import IdempotencyKey, digest
from tasks.store.jobs import JobStore
from tasks.store.models import Models
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, Terms
from tasks.vocabulary.shadows import MAX_SAMPLE, sampled, shadow_terms
from tasks.vocabulary.tallies import NewGroups

logger = logging.getLogger(__name__)

Cut = Callable[[str, Iterable[Item], Terms, int], Iterator[Chunk]]
Publish = Callable[[str, Sequence[Chunk]], None]


def require_comparable(terms: Terms, models: Models, mark: str) -> None:
    """Raise InvalidRequestError unless the model of a job can be compared with the other one that it names.

    `mark` stands before a field of the request, `/` or `?`.
    """
    if not terms.compare_with:
        return
    pointer, others = f"{mark}compare_with", ", ".join(models.others(terms.model)) or "none"
    try:
        other = models.resolve(terms.compare_with)
    except UnknownModelError as error:
        raise InvalidRequestError.at(pointer, error.code, str(error)) from error
    if other == terms.model:
        detail = f"{other} scores the job itself; other models: {others}."
        raise InvalidRequestError.at(pointer, "same_model", detail)
    if terms.options.aspects or PAIR in (models.reads(terms.model), models.reads(other)):
        detail = "only models that read texts alone are compared, and no aspects."
        raise InvalidRequestError.at(pointer, "aspects_unsupported", detail)


class Shadow:
    """The shadow of a job while one request adds items to the job.

    Whatever happens to the shadow, the job goes on. `error` is the code of what ended the shadow early.
    """

    def __init__(self, store: JobStore, cut: Cut, publish: Publish, job_id: str, terms: Terms) -> None:
        """Begin the shadow of a job with these terms. It is recorded with the first item of the sample."""
        self.error: str | None = None
        self._store = store
        self._cut = cut
        self._publish = publish
        self._job_id = job_id
        self._share = terms.compare_share
        self._terms = shadow_terms(job_id, terms)
        feed = Feed.begin(digest(job_id.encode()), resumable=True)
        self._feeding = Feeding(store, store.ids.issue(terms.owner), self._terms, feed, None)
        self._ended = False

    def resume(self, key: IdempotencyKey) -> None:
        """Continue the shadow of an upload that the key resumes; one that has ended stays as it is."""
        job = self._store.job(self._job_id, self._terms.owner)
        self._ended = job.shadow_error is not None
        if self._ended or job.shadow is None:
            return
        try:
            feed = uploads.take(self._store, job.shadow, self._feeding.feed, key)
        except SentiqError:
            self._ended = True
        else:
            self._feeding = Feeding(self._store, job.shadow, self._terms, feed, None)

    def add(self, chunks: Sequence[Chunk]) -> None:
        """Record those items of the job's new chunks that are in the sample, and wake workers for them."""
        recorded = self._feeding.feed.recorded
        if self._ended or recorded == MAX_SAMPLE:
            return
        sample = islice(sampled(chunks, self._share), MAX_SAMPLE - recorded)
        drawn = list(self._cut(self._feeding.job_id, sample, self._terms, recorded))
        if drawn:
            self._record(drawn)

    def close(self) -> None:
        """Close the shadow: it finishes with the last item that it has."""
        self._end(self._feeding.close)

    def leave(self) -> None:
        """Leave the shadow to a request that resumes the upload of the job."""
        self._end(self._feeding.leave)

    def named_by(self, job: Job) -> Job:
        """Return the job as it is recorded with this shadow."""
        shadow = self._feeding.job_id if self._feeding.feed.recorded else None
        return replace(job, shadow=shadow, shadow_error=self.error)

    def _record(self, drawn: Sequence[Chunk]) -> None:
        try:
            self._feeding.add(drawn, ())
        except UploadClosedError:
            self._ended = True  # it was canceled or deleted, by itself or with the job
        except (RefusedError, UnknownModelError, StoreUnavailableError) as error:
            self._drop(error.code)
        else:
            if not self._terms.waits(time.time()):
                self._publish(self._terms.model, drawn)

    def _drop(self, code: str) -> None:
        logger.warning("the shadow of %s ends with what it has: %s", self._job_id, code)
        self.error = code
        insist(lambda: shadows.drop(self._store, self._job_id, code))
        self.close()

    def _end(self, act: Callable[[], None]) -> None:
        if self._feeding.feed.recorded and not self._ended:
            insist(act)
        self._ended = True


class ShadowedFeeding(Feeding):
    """The upload of a job that has a shadow, which grows and ends with it."""

    def __init__(  # noqa: PLR0913  an upload has each of them
        self,
        store: JobStore,
        job_id: str,
        terms: Terms,
        feed: Feed,
        key: IdempotencyKey | None,
        *,
        shadow: Shadow,
    ) -> None:
        super().__init__(store, job_id, terms, feed, key)
        self._shadow = shadow

    def add(self, chunks: Sequence[Chunk], groups: NewGroups) -> None:
        """Record chunks behind the others, and what the sample has of them."""
        super().add(chunks, groups)
        self._shadow.add(chunks)

    def close(self) -> None:
        """Close the upload and the shadow."""
        super().close()
        self._shadow.close()

    def close_incomplete(self, line: int | None = None) -> None:
        """Close the job with what it has, and the shadow."""
        super().close_incomplete(line)
        self._shadow.close()

    def leave(self) -> None:
        """Let another request resume the upload, and the shadow with it."""
        super().leave()
        self._shadow.leave()
