"""One request that feeds an upload: it adds chunks to a job, and ends as what it brings allows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from api.intake.rejections import TruncatedGzipError
from api.waiting.pacing import let_others_run
from tasks.errors import StoreUnavailableError, UploadClosedError, UploadIncompleteError
from tasks.store import uploads
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.summaries import read_values
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import SILENCE_MS, Feed
from tasks.vocabulary.jobs import JobError, Terms
from tasks.vocabulary.tallies import NewGroups

_KEEP_S = 20.0
_INSIST_PAUSE_S = 0.3


class Feeding:
    """The upload of a job while one request feeds it. `feed` is what is recorded of it."""

    def __init__(
        self, store: JobStore, job_id: str, terms: Terms, feed: Feed, key: IdempotencyKey | None
    ) -> None:
        self.job_id = job_id
        self.feed = feed
        self._store = store
        self._terms = terms
        self._key = key
        self._kept_at = time.monotonic()

    def known_values(self) -> Sequence[bytes]:
        """Return the values of the field that the job is summarised by, as far as items are recorded."""
        summarized = self._terms.summarize_by and self.feed.recorded
        return read_values(self._store, self.job_id) if summarized else ()

    def add(self, chunks: Sequence[Chunk], groups: NewGroups) -> None:
        """Record chunks behind the others, with groups of the summary that are new.

        Raises UploadClosedError where the upload is not open for this request.
        """
        let_others_run()
        feed = self.feed.behind(item for chunk in chunks for item in chunk.items)
        let_others_run()
        owner = self._terms.owner
        if not self.feed.recorded:
            self._store.create(self.job_id, self._terms, chunks, key=self._key, feed=feed, groups=groups)
        elif not uploads.append_chunks(
            self._store,
            chunks,
            feed,
            key=self._key,
            owner=owner,
            groups=groups,
            keep_texts=self._terms.keep_texts,
        ):
            raise UploadClosedError(self.job_id)
        self.feed, self._kept_at = feed, time.monotonic()

    def keep(self) -> None:
        """Keep an upload that another request might take, if nothing was recorded for a while."""
        if self._key and self.feed.resumable and time.monotonic() - self._kept_at > _KEEP_S:
            if self.feed.recorded:
                uploads.take(self._store, self.job_id, self.feed, self._key)
            self._kept_at = time.monotonic()

    def close(self) -> None:
        """Close the upload: all of its items have come. Its key is remembered with them."""
        key = self._key and replace(self._key, body=self.feed.digest)
        uploads.close(self._store, self.job_id, key, feed=self.feed)

    def break_off(self, error: UploadIncompleteError) -> None:
        """Leave the upload to a request that resumes it; close the job where none can."""
        if self.feed.recorded:
            error.job_id, error.recorded = self.job_id, self.feed.recorded
        if self._may_be_resumed and error.line is None:
            self.leave()
        else:
            self.close_incomplete(error.line)

    def close_incomplete(self, line: int | None = None) -> None:
        """Close the job with what it has; its key may be used again. The line is that of the error."""
        error = JobError.UPLOAD_INCOMPLETE
        insist(
            lambda: uploads.close(self._store, self.job_id, self._key, error, error_line=line, feed=self.feed)
        )

    def leave(self) -> None:
        """Let another request resume the upload at once."""
        insist(lambda: uploads.leave(self._store, self.job_id, self.feed))

    def give_up(self, error: BaseException) -> None:
        """Leave the upload if the same request may succeed later; else leave nothing of the job."""
        may_pass = (StoreUnavailableError, TruncatedGzipError)
        passing = isinstance(error, may_pass) or not isinstance(error, Exception)
        if passing and self._may_be_resumed:
            self.leave()
        else:
            insist(lambda: uploads.discard(self._store, self.job_id, self._terms.owner, self.feed, self._key))

    @property
    def _may_be_resumed(self) -> bool:
        return self.feed.resumable and self.feed.recorded > 0


def insist(act: Callable[[], object]) -> None:
    """Act now; should Redis fail, try again in the background, until a reconciler closes the upload as idle.

    Else the caller's next try would get 409 for a minute, and the texts be scored twice.
    """

    def persist() -> None:
        for _ in range(int(SILENCE_MS / 1000 / _INSIST_PAUSE_S)):
            time.sleep(_INSIST_PAUSE_S)
            with contextlib.suppress(StoreUnavailableError):
                act()
                return

    try:
        act()
    except StoreUnavailableError:
        threading.Thread(target=persist, name="upload-cleanup", daemon=True).start()
