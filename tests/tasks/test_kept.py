"""What Redis keeps of a caller's jobs is charged to the caller, and nobody may take all of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.errors import StorageQuotaExceededError
from tasks.store import audit, leases, uploads
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes, purge
from tasks.store.keys import KEPT, job_key
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

CLASS = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, CLASS)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
LONG_ID = "𠮷" * 256


def chunk(job_id: str, start: int, items: int, text: str) -> Chunk:
    return Chunk(job_id, start, [Item.accept(text, 999, LONG_ID)] * items)


def submit(store: JobStore, owner: str = "a", items: int = 50, text: str = " ") -> str:
    """Create a job of one chunk; by default of texts that cost little and ids that take a kilobyte."""
    job_id = store.ids.issue(owner)
    terms = Terms(queue_class=CLASS, owner=owner, metadata={"shop": "七" * 500})
    store.create(job_id, terms, [chunk(job_id, 0, items, text)])
    return job_id


def finish(store: JobStore) -> None:
    """Finish all that waits."""
    while held := leases.lease(store, CHILD, 10**9):
        results = [
            ChunkResult(leased.chunk, [item.error or rated(0.75, 5, 5) for item in leased.chunk.items], 1)
            for leased in held.chunks
        ]
        leases.finish(store, held, results, {"id": "test"})


def stored(store: JobStore, job_id: str) -> int:
    """Return the bytes of a job's texts and results as they are in Redis."""
    return sum(
        len(value)
        for part in ("chunks", "results", "retryable")
        for value in store.redis.hvals(job_key(job_id, part))
    )


def kept(store: JobStore, owner: str = "a") -> int:
    return kept_bytes(store).get(owner, 0)


def expire(store: JobStore, job_id: str, owner: str = "a") -> None:
    """Have Redis drop a record as it does in the end, in silence."""
    for part in ("", "chunks", "results", "retryable", "completed", "tokens"):
        store.redis.delete(job_key(job_id, part))
    store.redis.zadd(f"sentiq:kept_until:{owner}", {job_id: store.now_ms() - 1})


def test_what_is_charged_is_about_what_redis_takes(store: JobStore) -> None:
    submit(store, "warm-up")
    before = store.redis.info("memory")["used_memory"]
    for _ in range(100):
        submit(store)
    waiting = store.redis.info("memory")["used_memory"] - before
    assert 0.6 * waiting < kept(store) < 1.4 * waiting
    finish(store)
    done = store.redis.info("memory")["used_memory"] - before
    assert 0.6 * done < kept(store) < 1.4 * done
    before, charged = store.redis.info("memory")["used_memory"], kept(store)
    for _ in range(300):
        submit(store, items=1, text="好")
    small = store.redis.info("memory")["used_memory"] - before
    assert 0.6 * small < kept(store) - charged < 1.6 * small, "records count too"


def test_the_charge_follows_a_job_from_its_texts_to_its_results(store: JobStore) -> None:
    job_id = submit(store, text="好" * 900)
    assert stored(store, job_id) < kept(store) < stored(store, job_id) + 5000
    finish(store)
    assert stored(store, job_id) < kept(store) < stored(store, job_id) + 5000
    charged = kept(store)
    finish(store)
    assert kept(store) == charged


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("end", ["deleted", "expired"])
def test_what_is_erased_is_charged_no_more(store: JobStore, end: str, *, done: bool) -> None:
    job_id, other = submit(store), submit(store, items=1)
    if done:
        finish(store)
    charged = kept(store)
    for _ in range(2):
        if end == "deleted":
            delete_job(store, job_id, "a")
        else:
            expire(store, job_id)
            Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert 0 < kept(store) < charged
    delete_job(store, other, "a")
    assert not list(store.redis.scan_iter("sentiq:kept*")), "and no trace is left"


def test_a_job_that_is_read_until_it_expires_is_charged_until_then(store: JobStore) -> None:
    job_id = submit(store)
    store.redis.zadd("sentiq:kept_until:a", {job_id: store.now_ms() - 1})
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert kept(store) > stored(store, job_id)
    finish(store)
    due = store.redis.zscore("sentiq:kept_until:a", job_id)
    assert due == store.job(job_id, "a").expires_ms


@pytest.mark.parametrize("end", ["scored", "given up", "canceled"])
def test_what_is_requeued_item_by_item_is_charged_rightly(store: JobStore, end: str) -> None:
    job_id = submit(store, items=9, text="好" * 900)
    assert leases.lease(store, CHILD, 10**9)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    assert store.redis.hlen(job_key(job_id, "chunks")) == 9
    if end == "canceled":
        cancel_job(store, job_id)
    while end == "given up" and leases.lease(store, CHILD, 10**9):
        Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    finish(store)
    assert store.job(job_id, "a").status.terminal
    assert stored(store, job_id) < kept(store) < stored(store, job_id) + 6000


def test_recording_or_deleting_twice_charges_once(store: JobStore) -> None:
    job_id = store.ids.issue("a")
    for _ in range(2):
        store.create(job_id, Terms(queue_class=CLASS, owner="a"), [chunk(job_id, 0, 9, "好")])
    once = kept(store)
    submit(store)
    delete_job(store, job_id, "a")
    delete_job(store, job_id, "a")
    assert kept(store) > once


def test_a_key_keeps_what_its_quota_allows_and_others_are_not_concerned(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(quota_bytes=200_000)
    jobs = [submit(store) for _ in range(3)]
    with pytest.raises(StorageQuotaExceededError, match="200000") as refusal:
        submit(store)
    assert 1 <= refusal.value.retry_after_s <= 3600
    submit(store, "b")
    for _ in range(9):
        submit(store, "")
    finish(store)
    with pytest.raises(StorageQuotaExceededError):
        submit(store)
    expire(store, jobs[0])
    submit(store)
    delete_job(store, jobs[1], "a")
    submit(store)


def test_an_upload_is_refused_when_it_grows_beyond_the_quota(store_with: Callable[..., JobStore]) -> None:
    store = store_with(quota_bytes=200_000)
    job_id, feed = store.ids.issue("a"), Feed.begin("5eed", resumable=False)
    terms = Terms(queue_class=CLASS, owner="a")
    store.create(job_id, terms, [chunk(job_id, 0, 50, " ")], feed=feed)
    assert uploads.append_chunks(store, [chunk(job_id, 50, 50, " ")], feed, owner="a")
    charged = kept(store)
    with pytest.raises(StorageQuotaExceededError):
        uploads.append_chunks(store, [chunk(job_id, 100, 90, " ")], feed, owner="a")
    assert (kept(store), store.job(job_id, "a").counts.total) == (charged, 100)


def test_nobody_may_take_more_than_half_of_redis(store_with: Callable[..., JobStore]) -> None:
    store = store_with(quota_bytes=0)
    for _ in range(9):
        submit(store, items=900)
    store.redis.config_set("maxmemory", store.redis.info("memory")["used_memory"] * 2 + kept(store))
    store.headroom._checked_at = -1
    with pytest.raises(StorageQuotaExceededError):
        list(iter(lambda: submit(store, items=900), None))
    assert kept(store) < store.redis.info("memory")["maxmemory"] / 2
    submit(store, "b")


def test_a_purge_leaves_nothing_of_an_owner_and_all_of_others(store: JobStore) -> None:
    done = [submit(store) for _ in range(120)]
    finish(store)
    expire(store, done[0])
    open_job, other = submit(store), submit(store, "b")
    charged = kept(store, "b")
    assert purge(store, "a") >= 120
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert purge(store, "a") == 0
    assert store.redis.hgetall(KEPT) == {b"b": str(charged).encode()}
    assert [store.redis.exists(job_key(each)) for each in (done[5], open_job, other)] == [0, 0, 1]
    told = [(entry.action, entry.key_id, entry.detail) for entry in audit.entries(store.redis)]
    assert told[0] == ("purge", "a", "begun")
    assert told[2:] == [("purge", "a", "begun"), ("purge", "a", "0 jobs")]
