"""Results as streams: items as they are read, written as lines or as rows with constant memory."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from pydantic_core import to_json

from api.output.serializers import ITEM_COLUMNS, item_row, item_view
from api.waiting.hub import Waiters
from tasks.errors import SentiqError
from tasks.store.jobs import JobStore, Page
from tasks.vocabulary.items import ItemResult, ItemStatus
from tasks.vocabulary.jobs import Job

_ITEMS_AT_ONCE = 256
_CHUNKS_AT_ONCE = 16
_LINES_AT_ONCE = 64
# A blank line that often tells whether a silent follower is still there.
_HEARTBEAT_S = 10.0


class Items(Protocol):
    """Items of a job; None among them stands for nothing more for now."""

    job: Job

    def __iter__(self) -> Iterator[ItemResult | None]:
        """Read on from where the last one was read."""

    @property
    def cursor(self) -> str | None:
        """Where to read on; None when all is read and nothing follows."""

    def refresh(self) -> None:
        """Read the job again, so that `cursor` knows how it stands."""


class Walk:
    """Finished items in input order, up to the first that is not finished."""

    def __init__(
        self, store: JobStore, job: Job, start: int, skip: int, at_once: int = _ITEMS_AT_ONCE
    ) -> None:
        """Begin at the `skip`th item of the chunk that begins at `start`."""
        self.job = job
        self._store = store
        self._at_once = at_once
        self._page = Page([], [start])
        self._next = start + skip

    def __iter__(self) -> Iterator[ItemResult]:
        """Read on from where the last one was read."""
        while self._next < self.job.counts.total:
            chunk = self._page.chunk_of(self._next)
            skip = self._next - chunk
            self._page = self._store.results(self.job.id, chunk, skip + self._at_once)
            if len(self._page.items) <= skip:
                return
            for item in self._page.items[skip:]:
                self._next = item.index + 1
                yield item

    @property
    def cursor(self) -> str | None:
        """Where to read on; None when all is read and nothing follows."""
        if self._next >= self.job.counts.total and not self.job.uploading:
            return None
        chunk = self._page.chunk_of(self._next)
        return f"{chunk}.{self._next - chunk}"

    def refresh(self) -> None:
        """Read the job again, so that `cursor` knows how it stands."""
        self.job = self._store.job(self.job.id, self.job.terms.owner)


class Following:
    """Items in the order in which their chunks end, until the job is over."""

    def __init__(self, store: JobStore, waiters: Waiters, job: Job, position: int, skip: int) -> None:
        """Begin at the `skip`th item of the chunk that was the `position`th to end."""
        self.job = job
        self._store = store
        self._waiters = waiters
        self._position, self._skip = position, skip

    def __iter__(self) -> Iterator[ItemResult | None]:
        """Read what has ended, then wait for more; at the cap of held requests there is no waiting."""
        full = self._waiters.full
        with self._waiters.watch(self.job) as view:
            while True:
                turn = view.turn
                self.job = view.job()
                yield from self._ended()
                if full or self.job.status.terminal or self._waiters.closing:
                    return
                yield None
                turn.changed.wait(min(self._waiters.look_s, _HEARTBEAT_S))

    @property
    def cursor(self) -> str | None:
        """Where to read on; None when the job is over and all is read."""
        return None if self._done else f"{self._position}.{self._skip}"

    def refresh(self) -> None:
        """Nothing to do: the job was read before its last items."""

    @property
    def _done(self) -> bool:
        return self.job.status.terminal and not self._store.results_by_completion(
            self.job.id, self._position, 1
        )

    def _ended(self) -> Iterator[ItemResult]:
        while chunks := self._store.results_by_completion(self.job.id, self._position, _CHUNKS_AT_ONCE):
            for items in chunks:
                for item in items[self._skip :]:
                    self._skip += 1
                    yield item
                self._position, self._skip = self._position + 1, 0


def ndjson_lines(items: Items, limit: int | None, status: ItemStatus | None) -> Iterator[bytes]:
    """Write an item a line, and a last one without which the answer is not whole."""
    returned, failure = 0, None
    try:
        for part in _parts(items, limit, status):
            yield b"".join(to_json(item_view(item)) + b"\n" for item in part) or b"\n"
            returned += len(part)
        items.refresh()
        cursor = items.cursor
    except SentiqError as error:
        failure, cursor = error.code, None
    end = {"object": "end", "status": items.job.status, "returned": returned}
    end |= {"complete": cursor is None and failure is None, "next_cursor": cursor}
    yield to_json(end | ({"error": failure} if failure else {})) + b"\n"


def csv_rows(items: Items, limit: int | None, status: ItemStatus | None) -> Iterator[bytes]:
    """Write an item a row under a head; an answer that breaks off is cut short in HTTP's eyes too."""
    yield _csv([ITEM_COLUMNS])
    for part in _parts(items, limit, status):
        yield _csv([item_row(item) for item in part]) or b"\r\n"


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _parts(items: Items, limit: int | None, status: ItemStatus | None) -> Iterator[list[ItemResult]]:
    """Gather items while they come quickly; an empty part once in a while if none come."""
    part: list[ItemResult] = []
    left, wrote = limit, time.monotonic()
    for item in items:
        if item is not None and status in (None, item.status):
            part.append(item)
            left = left and left - 1
        if len(part) == _LINES_AT_ONCE or left == 0 or (item is None and _due(part, wrote)):
            yield part
            part, wrote = [], time.monotonic()
        if left == 0:
            return
    if part:
        yield part


def _due(part: list[ItemResult], wrote: float) -> bool:
    return bool(part) or time.monotonic() - wrote >= _HEARTBEAT_S
