"""Reading a job's results: in input order, or in the order in which they finish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Never, Protocol, Self

from api.waiting.hub import WaitHub
from api.waiting.turns import turns
from tasks.errors import JobLostError
from tasks.store.jobs import JobStore, Page
from tasks.vocabulary.items import ItemResult, ItemStatus
from tasks.vocabulary.jobs import Job

# A follower of a silent job yields None that often, so that its writer can tell whether the client is there.
HEARTBEAT_S = 10.0
# What is read before the answer begins ends after that many items, even if its filter matched little.
_MAX_SCANNED_ITEMS = 20_000
_CHUNK_BATCH = 4


class Batches(NamedTuple):
    """How many items are read at once: few at `first`, then as many as fill `size` bytes, `most` at most."""

    first: int
    most: int
    size: int

    @classmethod
    def of_page(cls, limit: int) -> Self:
        """Return how a page of that many items is read: at once, unless they may be large."""
        return cls(min(limit, _FIRST_ITEMS), limit, _PAGE_BYTES)

    def behind(self, page: Page) -> int:
        """Return how many items like those of a page are read next."""
        return max(1, min(self.most, len(page.items) * self.size // max(1, page.size)))


_FIRST_ITEMS, _PAGE_BYTES = 64, 256 * 1024
# The API holds what a stream has read for a slow client.
_OF_STREAM = Batches(_FIRST_ITEMS, 256, 32 * 1024)


class ItemReader(Protocol):
    """Yields items of a job; None stands for nothing more at the moment."""

    job: Job
    # Whether the reader stopped for a reason of the service, with more to come.
    cut: bool

    def __iter__(self) -> Iterator[ItemResult | None]:
        """Continue behind the last item that was read."""

    @property
    def cursor(self) -> str | None:
        """Where a later request continues; None when every item was read and no more will come."""

    def refresh(self) -> None:
        """Read the job again, so that `cursor` is up to date."""


class Walk:
    """Finished items in input order, up to the first that is not finished."""

    cut = False

    def __init__(  # noqa: PLR0913  a walk has each of them
        self,
        store: JobStore,
        job: Job,
        start: int,
        skip: int,
        batches: Batches = _OF_STREAM,
        *,
        page: Page | None = None,
    ) -> None:
        """Begin at the `skip`th item of the chunk that begins at `start`; its first `page` may be known."""
        self.job = job
        self._store = store
        self._batches, self._item_batch = batches, batches.first
        self._page = Page([], [start])
        self._known = page
        self._next = start + skip
        self._end, self._bounded = job.counts.total, False

    def bound(self) -> str | None:
        """Read only what is finished now; return the cursor that the walk will have at its end."""
        self._end, self._bounded = self._store.finished_until(self.job), True
        if self._next >= self._end:
            return self.cursor
        whole = self._end == self.job.counts.total and not self.job.uploading
        return None if whole else f"{self._end}.0"

    def __iter__(self) -> Iterator[ItemResult]:
        """Continue behind the last item that was read."""
        while self._next < self._end:
            chunk = self._page.chunk_of(self._next)
            skip = self._next - chunk
            known, self._known = self._known, None
            self._page = known or self._store.results(self.job.id, chunk, skip + self._item_batch)
            if len(self._page.items) <= skip:
                if self._bounded:
                    self._explain_gap()
                return
            self._item_batch = self._batches.behind(self._page)
            for item in self._page.items[skip : skip + self._end - self._next]:
                self._next = item.index + 1
                yield item

    @property
    def cursor(self) -> str | None:
        """Where a later request continues; None when every item was read and no more will come."""
        if self._next >= self.job.counts.total and not self.job.uploading:
            return None
        chunk = self._page.chunk_of(self._next)
        return f"{chunk}.{self._next - chunk}"

    def refresh(self) -> None:
        """Read the job again, so that `cursor` is up to date."""
        self.job = self._store.job(self.job.id, self.job.terms.owner)

    def _explain_gap(self) -> Never:
        """Raise the reason why results that were there are gone."""
        self.refresh()
        raise JobLostError(self.job.id)


def read_ahead(walk: Walk, limit: int, status: ItemStatus | None = None) -> Iterator[ItemResult]:
    """Yield up to `limit` items of a walk that have the status, if one is given."""
    found = 0
    for number, item in enumerate(walk, 1):
        if status in (None, item.status):
            found += 1
            yield item
        if found == limit or number == _MAX_SCANNED_ITEMS:
            return


class Excerpt:
    """A limited number of items of a walk. They are read at once, so the cursor is known beforehand."""

    cut = False

    def __init__(self, walk: Walk, limit: int, status: ItemStatus | None) -> None:
        self.job = walk.job
        self._items = list(read_ahead(walk, limit, status))
        self.cursor = walk.cursor

    def __iter__(self) -> Iterator[ItemResult]:
        """Yield the items."""
        yield from self._items

    def refresh(self) -> None:
        """Do nothing: the items are as they were."""


class Following:
    """Items in the order in which their chunks finish, until the job is finished."""

    cut = False

    def __init__(self, store: JobStore, hub: WaitHub, job: Job, position: int, skip: int) -> None:
        """Begin at the `skip`th item of the chunk that was the `position`th to finish."""
        self.job = job
        self._store = store
        self._hub = hub
        self._position, self._skip = position, skip

    def __iter__(self) -> Iterator[ItemResult | None]:
        """Read what has finished, then wait for more; return at once when too many requests wait already."""
        full = self._hub.full
        with self._hub.subscribe(self.job) as subscription:
            while True:
                wake = subscription.wake_events()
                self.job = subscription.job()
                yield from self._finished_items()
                if full or self.job.status.terminal or self._hub.stopping:
                    self.cut = not self.job.status.terminal
                    return
                yield None
                with turns.paused():
                    wake.changed.wait(min(self._hub.reread_s, HEARTBEAT_S))

    @property
    def cursor(self) -> str | None:
        """Where a later request continues; None when the job is finished and every item was read."""
        return None if self._all_read else f"{self._position}.{self._skip}"

    def refresh(self) -> None:
        """Do nothing: the job was read before its last items."""

    @property
    def _all_read(self) -> bool:
        return self.job.status.terminal and not self._store.results_by_completion(
            self.job.id, self._position, 1
        )

    def _finished_items(self) -> Iterator[ItemResult]:
        while chunks := self._store.results_by_completion(self.job.id, self._position, _CHUNK_BATCH):
            for items in chunks:
                for item in items[self._skip :]:
                    self._skip += 1
                    yield item
                self._position, self._skip = self._position + 1, 0
