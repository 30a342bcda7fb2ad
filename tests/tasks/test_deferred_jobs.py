"""Jobs that wait for a time: nothing of them is leased before, and their deadline counts from then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.errors import DeadlineTooShortError, QuotaExceededError, ServiceFullError
from tasks.store import leases, models, uploads
from tasks.store.backlog import read_backlogs, read_lines
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.keys import DEFERRED, OPEN_JOBS, OWNERS, backlog_key, job_key
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retry_terms
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.ready_children import report_ready
from tests.verdicts import rated

QUEUE = Queue(MODEL_NAME, QueueClass.BULK)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
HOUR_MS = 3_600_000


def submit(store: JobStore, items: int = 3, **terms: object) -> str:
    """Create a job for the next hour, with a chunk for each item."""
    job_id = store.ids.issue("a")
    chunks = [Chunk(job_id, i, [Item.accept("十个字的文本十个字哦", 99)]) for i in range(items)]
    given = {"not_before_ms": store.now_ms() + HOUR_MS, "queue_class": QUEUE.queue_class, "owner": "a"}
    store.create(job_id, Terms(**given | terms), chunks)  # type: ignore[arg-type]
    return job_id


def comes(store: JobStore, job_id: str) -> list[tuple[str, int]]:
    """Let the time of a job come, and the reconciler look; return the wake-ups that it published."""
    published: list[tuple[str, int]] = []
    report_ready(store, MODEL_NAME)
    store.redis.zadd(DEFERRED, {job_id: store.now_ms() - 1})
    reconciler = Reconciler(store, lambda *wakeup: published.append(wakeup), "worker", MODEL_NAME)
    reconciler.tick(alive=[1])
    return published


def finish(store: JobStore) -> list[int]:
    held = leases.lease(store, CHILD, 10**9)
    assert held is not None
    results = [ChunkResult(each.chunk, [rated(0.7, 5, 5)] * len(each.chunk.items), 1) for each in held.chunks]
    leases.finish(store, held, results, {"id": "x", "revision": "1", "engine": "none"})
    return [ref.start for ref in held.refs]


def counted(store: JobStore) -> tuple[int, int]:
    """Return the pending and the deferred items; check the line of the owner on the way."""
    backlog = read_backlogs(store, [MODEL_NAME])[QUEUE]
    assert sum(read_lines(store, [QUEUE])[QUEUE].items.values()) == backlog.items
    return backlog.items, backlog.deferred


def test_nothing_is_leased_before_the_time(store: JobStore) -> None:
    job_id, now = submit(store), store.now_ms()
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert leases.lease(store, CHILD, 10**9) is None
    assert counted(store) == (0, 3)
    job = store.job(job_id, "a")
    assert (job.status, job.place, job.terms.deadline_s) == (JobStatus.QUEUED, None, 86_400)
    assert job.deadline_ms == pytest.approx(now + HOUR_MS + 86_400_000, abs=1000)
    assert store.redis.pttl(job_key(job_id)) == pytest.approx(HOUR_MS + 2 * 86_400_000, abs=1000)
    assert comes(store, job_id) == [(MODEL_NAME, 3)]
    assert counted(store) == (3, 0)
    assert store.job(job_id, "a").place == 0
    assert finish(store) == [0, 1, 2]
    assert store.job(job_id, "a").status is JobStatus.SUCCEEDED
    assert counted(store) == (0, 0)
    assert not store.redis.exists(DEFERRED, OWNERS, job_key(job_id, "deferred"))


def test_a_time_that_has_passed_defers_nothing(store: JobStore) -> None:
    job_id = submit(store, not_before_ms=store.now_ms() - 1)
    assert counted(store) == (3, 0)
    assert store.job(job_id, "a").terms.deadline_s == 86_400
    assert finish(store) == [0, 1, 2]


def test_a_large_job_comes_in_parts_and_in_order(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.reconciler._TICK_BATCH", 2)
    job_id = submit(store, 5)
    assert [comes(store, job_id)[0][1] for _ in range(3)] == [2, 2, 1]
    assert counted(store) == (5, 0)
    assert not store.redis.exists(DEFERRED)
    assert finish(store) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("end", ["canceled", "deleted", "expired"])
def test_a_deferred_job_ends_early_like_others(store: JobStore, end: str, released: bool) -> None:  # noqa: FBT001  a parameter
    job_id = submit(store)
    if released:
        comes(store, job_id)
    if end == "canceled":
        assert cancel_job(store, job_id)
        assert store.job(job_id, "a").status is JobStatus.CANCELED
    elif end == "deleted":
        delete_job(store, job_id, "a")
    else:
        store.redis.hset(job_key(job_id), "deadline", 1)
        store.redis.zadd(OPEN_JOBS, {job_id: 1})
        Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
        assert store.job(job_id, "a").status is JobStatus.TIMED_OUT
    assert counted(store) == (0, 0)
    assert leases.lease(store, CHILD, 10**9) is None
    assert not store.redis.exists(DEFERRED, OWNERS, job_key(job_id, "deferred"))


def test_a_deferred_job_that_was_canceled_late_is_dropped_when_its_time_comes(store: JobStore) -> None:
    job_id = submit(store)
    store.redis.unlink(job_key(job_id), job_key(job_id, "deferred"))  # lost
    assert comes(store, job_id) == []
    assert not store.redis.exists(DEFERRED)


def test_an_upload_grows_before_and_after_its_time(store: JobStore) -> None:
    job_id, feed = store.ids.issue("a"), Feed.begin("5eed", resumable=False)
    one, two, three, four = ([Chunk(job_id, i, [Item.accept("好", 9)])] for i in range(4))
    terms = Terms(not_before_ms=store.now_ms() + HOUR_MS, queue_class=QUEUE.queue_class, owner="a")
    store.create(job_id, terms, one, feed=feed)
    assert uploads.append_chunks(store, two, feed, owner="a")
    assert counted(store) == (0, 2)
    store.redis.zadd(DEFERRED, {job_id: 1})
    assert store.run("release_job", {"job_id": job_id, "limit": 1})[1] == 1
    assert uploads.append_chunks(store, three, feed, owner="a")
    assert counted(store) == (3, 0)
    comes(store, job_id)
    assert uploads.append_chunks(store, four, feed, owner="a")
    uploads.close(store, job_id, feed=feed)
    assert counted(store) == (4, 0)
    assert finish(store) == [0, 1, 2, 3]
    assert store.job(job_id, "a").status is JobStatus.SUCCEEDED
    assert counted(store) == (0, 0)


def test_a_full_service_accepts_for_later_what_a_quota_allows(store_with: Callable[..., JobStore]) -> None:
    store = store_with(quota_items=50, target_wait_bulk_s=2)
    rate = {
        "drained_items": 100,
        "drained_cost": 1000,
        "drained_s": 10,
        "finished_at": store.now_ms() + 10_000,
    }
    store.redis.hset(backlog_key(QUEUE), mapping=rate | {"items": 1000, "cost": 10_000})
    with pytest.raises(ServiceFullError):
        submit(store, not_before_ms=None)
    submit(store, 20)
    with pytest.raises(DeadlineTooShortError) as refusal:
        submit(store, 20, deadline_s=1)
    assert refusal.value.feasible_s == 3, "alone, when its time has come"
    submit(store, 20, deadline_s=3)
    with pytest.raises(QuotaExceededError):
        submit(store, 11)


def test_a_model_is_not_removed_while_jobs_wait_for_their_time(store: JobStore) -> None:
    models.register(store, MODEL_NAME, {})
    job_id = submit(store)
    assert models.retire(store, MODEL_NAME) == (3, 0)
    comes(store, job_id)
    assert finish(store) == [0, 1, 2]
    assert models.retire(store, MODEL_NAME) == (0, 0)


def test_a_retry_begins_at_once(store: JobStore) -> None:
    assert retry_terms(store.job(submit(store), "a")).not_before_ms is None
