"""Uploads that are resumed: one request feeds a job at a time, and each item is recorded once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.errors import (
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    JobDeletedError,
    UploadClosedError,
)
from tasks.store import uploads
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.idempotency import OPEN, IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, UPLOADS, job_key
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import JobError, QueueClass, Terms
from tests.conftest import MODEL_NAME

BULK = QueueClass.BULK
KEY = IdempotencyKey("", "k1")
SEED = "5eed"
ITEMS = [Item.accept(f"第{i}次来", 99) for i in range(10)]


def begun(store: JobStore, feed: Feed, items: int = 2) -> str:
    """Record the first items of an upload."""
    job_id = store.ids.issue()
    assert uploads.reserve_key(store, KEY, job_id) is None
    first = Chunk(job_id, 0, ITEMS[:items])
    store.create(job_id, Terms(queue_class=BULK), [first], key=KEY, feed=feed.behind(first.items))
    return job_id


def append(store: JobStore, job_id: str, feed: Feed, start: int, items: int = 2) -> Feed | None:
    chunk = Chunk(job_id, start, ITEMS[start : start + items])
    feed = feed.behind(chunk.items)
    return feed if uploads.append_chunks(store, [chunk], feed, key=KEY) else None


def silent_for(store: JobStore, job_id: str, ms: int) -> None:
    store.redis.zincrby(UPLOADS, -ms, job_id)


def test_a_digest_says_which_items_and_not_how_they_were_cut() -> None:
    begin = Feed("w", SEED, SEED)
    whole = begin.behind(ITEMS)
    assert begin.behind(ITEMS[:3]).behind(ITEMS[3:]) == whole
    assert whole.recorded == 10
    others = [ITEMS[:9], ITEMS[::-1], [*ITEMS[:9], ITEMS[9]._replace(id="a")]]
    assert whole.digest not in {begin.behind(items).digest for items in others}
    assert Feed("w", "5eee", "5eee").behind(ITEMS).digest != whole.digest


def test_another_request_goes_on_where_the_first_one_left(store: JobStore) -> None:
    one, two = (Feed.begin(SEED, resumable=True) for _ in range(2))
    job_id = begun(store, one)
    with pytest.raises(IdempotencyKeyInFlightError):
        uploads.take(store, job_id, two, KEY)
    uploads.leave(store, job_id, one)
    taken = uploads.take(store, job_id, two, KEY)
    assert (taken.writer, taken.recorded) == (two.writer, 2)
    assert taken.digest == one.behind(ITEMS[:2]).digest
    grown = append(store, job_id, taken, 2)
    assert grown
    assert uploads.close(store, job_id, replace(KEY, body=grown.digest), feed=grown)
    job = store.job(job_id)
    assert (job.counts.total, job.uploading, job.error) == (4, False, None)
    assert store.remembered(replace(KEY, body=one.behind(ITEMS[:4]).digest)) == job_id


def test_a_request_whose_upload_was_taken_changes_nothing_more(store: JobStore) -> None:
    one, two = (Feed.begin(SEED, resumable=True) for _ in range(2))
    job_id = begun(store, one)
    silent_for(store, job_id, 59_000)
    with pytest.raises(IdempotencyKeyInFlightError):
        uploads.take(store, job_id, two, KEY)
    silent_for(store, job_id, 2_000)
    taken = uploads.take(store, job_id, two, KEY)
    assert append(store, job_id, one.behind(ITEMS[:2]), 2) is None
    uploads.leave(store, job_id, one)
    assert not uploads.close(store, job_id, KEY, JobError.UPLOAD_INCOMPLETE, feed=one)
    uploads.discard(store, job_id, "", one, KEY)
    with pytest.raises(IdempotencyKeyInFlightError):
        uploads.take(store, job_id, one, KEY)
    assert append(store, job_id, taken, 2)
    assert uploads.reserve_key(store, KEY, store.ids.issue()) == (OPEN, job_id)
    assert store.job(job_id).counts.total == 4


def test_an_upload_is_kept_open_for_ten_minutes_of_silence(store: JobStore) -> None:
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    uploads.leave(store, job_id, one)
    silent_for(store, job_id, 595_000)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    assert store.job(job_id).uploading
    assert 590_000 < store.redis.pttl(KEY.redis_key) <= 600_000
    silent_for(store, job_id, 5_000)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    job = store.job(job_id)
    assert (job.uploading, job.error) == (False, JobError.UPLOAD_INCOMPLETE)
    with pytest.raises(UploadClosedError):
        uploads.take(store, job_id, one, KEY)


def test_a_request_that_takes_an_upload_starts_its_ten_minutes_anew(store: JobStore) -> None:
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    silent_for(store, job_id, 590_000)
    store.redis.pexpire(KEY.redis_key, 10_000)
    uploads.take(store, job_id, one, KEY)
    assert store.redis.zscore(UPLOADS, job_id) - store.now_ms() > 599_000
    assert store.redis.pttl(KEY.redis_key) > 599_000


def test_only_a_request_with_the_same_terms_takes_an_upload(store: JobStore) -> None:
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    uploads.leave(store, job_id, one)
    with pytest.raises(IdempotencyKeyReusedError):
        uploads.take(store, job_id, Feed.begin("07e4", resumable=True), KEY)
    assert uploads.take(store, job_id, Feed.begin("", resumable=True), KEY, any_terms=True).recorded == 2


@pytest.mark.parametrize("end", ["canceled", "deleted"])
def test_what_has_ended_cannot_be_taken(store: JobStore, end: str) -> None:
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    error: type[Exception] = UploadClosedError
    if end == "canceled":
        cancel_job(store, job_id)
    else:
        delete_job(store, job_id, "")
        error = JobDeletedError
    with pytest.raises(error):
        uploads.take(store, job_id, one, KEY)


def test_an_upload_that_was_given_up_is_not_recorded_afterwards(store: JobStore) -> None:
    """Redis may hold the call that records it up for longer than the request waits, and run it later."""
    one, job_id = Feed.begin(SEED, resumable=True), store.ids.issue()
    assert uploads.reserve_key(store, KEY, job_id) is None
    uploads.discard(store, job_id, "", one, KEY)
    assert not store.redis.exists(KEY.redis_key), "free in the same step, else a retry would find it deleted"
    first = Chunk(job_id, 0, ITEMS[:2])
    with pytest.raises(UploadClosedError):
        store.create(job_id, Terms(queue_class=BULK), [first], key=KEY, feed=one.behind(first.items))
    assert not store.redis.exists(job_key(job_id), KEY.redis_key)
    again = begun(store, Feed.begin(SEED, resumable=True))
    assert store.redis.hget(job_key(again), "total") == b"2"


def test_what_was_recorded_of_an_upload_that_is_given_up_is_counted_as_deleted(store: JobStore) -> None:
    """Redis ran the call that records it too late for the request, but before the one that gives it up."""
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    uploads.discard(store, job_id, "", one, KEY)
    counted = store.redis.hgetall(COUNTERS)
    assert counted == {
        f"admitted:{MODEL_NAME}:bulk".encode(): b"2",
        f"items:{MODEL_NAME}:deleted".encode(): b"2",
    }
    assert not store.redis.exists(job_key(job_id), KEY.redis_key)


def test_what_was_closed_meanwhile_is_not_discarded(store: JobStore) -> None:
    one = Feed.begin(SEED, resumable=True)
    job_id = begun(store, one)
    uploads.close(store, job_id, KEY, JobError.UPLOAD_INCOMPLETE)
    uploads.discard(store, job_id, "", one, KEY)
    assert store.job(job_id).counts.total == 2


def test_an_upload_that_nobody_may_resume_is_in_flight_until_it_is_closed(store: JobStore) -> None:
    one = Feed.begin(SEED, resumable=False)
    job_id = begun(store, one)
    uploads.leave(store, job_id, one)
    silent_for(store, job_id, 59_000)
    with pytest.raises(IdempotencyKeyInFlightError):
        uploads.take(store, job_id, one, KEY)
    silent_for(store, job_id, 1_000)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    assert store.redis.hget(job_key(job_id), "error") == b"upload_incomplete"
