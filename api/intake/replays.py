"""Replays: failed items of jobs of any owner, submitted again as jobs of the same owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from api.intake.streams import Source
from api.intake.submission import Submission
from api.schemas import operator_jobs as bodies
from tasks.errors import NothingToRetryError, SentiqError, StoreUnavailableError
from tasks.store import audit
from tasks.store.all_jobs import JobFilter, page
from tasks.store.audit import DONE, Author
from tasks.store.connection import store_errors
from tasks.store.idempotency import IdempotencyKey, digest
from tasks.store.jobs import JobStore
from tasks.store.retry import retry_terms, retryable_items
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Job


@dataclass(frozen=True, slots=True)
class Replay:
    """What is replayed of a job: how many items, as which job, or the code of what refused it."""

    job: Job
    items: int
    replay: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Replays:
    """Finds and replays failed items. `code`: only those with this error; without it all worth a retry.

    A replay of the same items within a day is the same job: a call may be repeated.
    """

    store: JobStore
    submission: Submission
    author: Author
    request_id: str
    code: ItemError | None = None
    dry_run: bool = True

    def run(
        self, passing: JobFilter, cursor: str | None, limit: int, charge: Callable[[], None]
    ) -> tuple[list[Replay], str | None]:
        """Replay up to `limit` of the jobs behind the cursor; return them, and the cursor of the rest."""
        jobs, following = page(self.store, replace(passing, failed=True), cursor, limit, charge=charge)
        counted = [(job, self._count(job)) for job in jobs if job.status.terminal]
        return [self._replay(job, items) for job, items in counted if items], following

    def _items(self, job: Job) -> Iterator[Item]:
        return retryable_items(self.store, job, self.code)

    def _count(self, job: Job) -> int:
        try:
            return sum(1 for _ in self._items(job))
        except NothingToRetryError:
            return 0

    def _replay(self, job: Job, items: int) -> Replay:
        if self.dry_run:
            return Replay(job, items)
        try:
            replay = self._submit(job)
        except StoreUnavailableError:
            raise
        except SentiqError as error:
            self._record(job, error.code)
            return Replay(job, items, refused=error.code)
        self._record(job, DONE, f"as {replay}")
        return Replay(job, items, replay)

    def _submit(self, job: Job) -> str:
        # No caller's own key has a space.
        name = f"replay {job.id} {self.code or 'all'}"
        key = IdempotencyKey(job.terms.owner, name, None)
        terms = replace(retry_terms(job), request_id=self.request_id)
        source = Source(self._items(job), digest(name.encode()))
        return self.submission.submit_stream(source, terms, key).job.id

    def _record(self, job: Job, outcome: str, detail: str = "") -> None:
        with store_errors():
            audit.append(
                self.store.redis,
                "replay_job",
                job.terms.owner,
                detail,
                job_id=job.id,
                outcome=outcome,
                author=self.author,
            )


def replays_view(done: Sequence[Replay], cursor: str | None, *, dry_run: bool) -> bodies.Replays:
    """Return the body of replays."""
    data: list[bodies.ReplayedJob] = [
        {
            "job": each.job.id,
            "owner": each.job.terms.owner,
            "items": each.items,
            "replay": each.replay,
            "refused": each.refused,
        }
        for each in done
    ]
    items = sum(each.items for each in done)
    return {"object": "list", "dry_run": dry_run, "items": items, "data": data, "next_cursor": cursor}
