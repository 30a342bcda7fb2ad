"""An hour in which chunks wait, round by round of two reconcilers, on a Redis whose clock the test sets.

No storm of wake-ups comes of it: each that is one too many costs a worker a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from local.redis_server import redis_server
from tasks.broker.celery_app import build_publisher
from tasks.broker.wakeups import publish_wakeups
from tasks.settings import Settings
from tasks.store import leases, workers
from tasks.store.jobs import JobStore
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.jobs import JobStatus
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import MODEL_NAME
from tests.shifted_clock import Clock, lacks_clock
from tests.tasks.test_jobs import GOOD, MODEL, record

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(bool(lacks_clock()), reason=f"this machine has no {lacks_clock()}"),
]
HOUR_S, ROUND_S = 3600, 2  # a reconciler without a round for three seconds takes Redis for away
CHUNKS = 200
WORKERS = ("first", "second")
CHILDREN = (1, 2)
HOLDERS = [leases.Holder(worker, pid, 4, MODEL_NAME) for worker in WORKERS for pid in CHILDREN]


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def redis_url(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in clock.variables.items():
        monkeypatch.setenv(name, value)
    with redis_server() as url:
        yield url


class Hour:
    """Two workers of two children each; `published` counts the wake-ups that their reconcilers sent."""

    def __init__(self, store: JobStore, settings: Settings, clock: Clock) -> None:
        self.store, self.published, self.most = store, 0, 0
        self._clock, self._send = clock, partial(publish_wakeups, build_publisher(settings))
        self._reconcilers = {name: Reconciler(store, self._publish, name, MODEL_NAME) for name in WORKERS}
        self.round()

    def _publish(self, model: str, count: int) -> None:
        self.published += count
        self._send(model, count)

    def round(self) -> None:
        """Let two seconds pass, and do a round of each worker's parent."""
        self._clock.go_on(ROUND_S)
        for name, reconciler in self._reconcilers.items():
            workers.heartbeat(self.store, name, children=2, ready=2, model={"name": MODEL_NAME})
            reconciler.tick(CHILDREN)
        self.most = max(self.most, self.store.redis.llen(wakeup_queue(MODEL_NAME)))

    def woken(self) -> bool:
        """Take a wake-up, if there is one."""
        return self.store.redis.rpop(wakeup_queue(MODEL_NAME)) is not None

    def finish_all(self, held: dict[leases.Holder, leases.Lease | None]) -> None:
        """Let each child finish what it holds, and lease again until nothing waits."""
        while any(held.values()):
            for holder, lease in held.items():
                if lease:
                    results = [
                        ChunkResult(each.chunk, [GOOD] * len(each.chunk.items), each.attempts)
                        for each in lease.chunks
                    ]
                    leases.finish(self.store, lease, results, MODEL)
                    held[holder] = leases.lease(self.store, holder, 1)


@pytest.fixture
def hour(store: JobStore, settings: Settings, clock: Clock) -> Hour:
    return Hour(store, settings, clock)


def check(hour: Hour, job_id: str) -> None:
    job = hour.store.job(job_id)
    assert (job.status, job.counts.succeeded) == (JobStatus.SUCCEEDED, CHUNKS)
    assert {item.attempts for item in hour.store.results(job_id, 0, CHUNKS).items} == {1}


def test_an_hour_of_backlog_before_busy_children_brings_no_storm_of_wakeups(hour: Hour) -> None:
    job_id = record(hour.store, *[1] * CHUNKS)
    held: dict[leases.Holder, leases.Lease | None] = {}
    for _ in range(HOUR_S // ROUND_S):
        hour.round()
        for holder in HOLDERS:
            if lease := held.get(holder):
                leases.renew(hour.store, lease)
            elif hour.woken():
                held[holder] = leases.lease(hour.store, holder, 1, woken=True)
    assert len(held) == len(HOLDERS), "each was woken"
    assert hour.most <= len(HOLDERS)
    assert hour.published <= 2 * len(HOLDERS), "one a child, and once more if it was late"
    hour.finish_all(held)
    check(hour, job_id)


def test_an_hour_of_backlog_that_nobody_takes_brings_no_storm_of_wakeups(hour: Hour) -> None:
    """As when the network between broker and children is gone: all wake-ups stay in the queue."""
    job_id = record(hour.store, *[1] * CHUNKS)
    for _ in range(HOUR_S // ROUND_S):
        hour.round()
    assert 1 <= hour.most <= len(HOLDERS)
    assert hour.published <= len(HOLDERS)
    assert hour.woken()
    hour.finish_all({HOLDERS[0]: leases.lease(hour.store, HOLDERS[0], 1, woken=True)})
    check(hour, job_id)
