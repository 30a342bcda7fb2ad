from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.errors import IdempotencyKeyInFlightError, IdempotencyKeyReusedError
from tasks.store.cancel import delete_job
from tasks.store.idempotency import OPEN, IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key, owner_jobs_key
from tasks.store.listing import Filter, page
from tasks.store.uploads import close, reserve_key
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms

BULK = QueueClass.BULK
FEED = Feed.begin("5eed", resumable=False)


def record(store: JobStore, owner: str = "", key: IdempotencyKey | None = None, **metadata: str) -> str:
    job_id = store.ids.issue(owner)
    terms = Terms(owner=owner, metadata=metadata)
    return store.create(
        job_id, replace(terms, queue_class=BULK), [Chunk(job_id, 0, [Item.accept("好", 9)])], key=key
    ).id


def test_an_owners_jobs_come_newest_first_page_by_page(store: JobStore) -> None:
    ids = [record(store, "anna") for _ in range(250)]
    record(store, "bert")
    seen, cursor = [], None
    while True:
        jobs, cursor = page(store, "anna", Filter(), cursor, 60)
        seen += [job.id for job in jobs]
        if cursor is None:
            break
        assert len(jobs) == 60
    assert seen == sorted(ids, reverse=True)


def test_jobs_are_found_by_what_they_are(store: JobStore) -> None:
    ids = [record(store, kind="even" if i % 2 == 0 else "odd") for i in range(6)]
    even = Filter(metadata={"kind": "even"})
    assert {job.id for job in page(store, "", even, None, 9)[0]} == set(ids[::2])
    times = sorted(store.job(job_id).created_ms for job_id in ids)
    assert not page(store, "", Filter(created_after_ms=times[-1]), None, 9)[0]
    assert not page(store, "", Filter(created_before_ms=times[0]), None, 9)[0]
    between = Filter(created_after_ms=times[0] - 1, created_before_ms=times[-1] + 1)
    assert len(page(store, "", between, None, 9)[0]) == 6


def test_a_filter_that_matches_nothing_reads_a_bounded_number_of_bytes_and_pays_for_it(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The text of a pair inside of another value is no pair.
    ids = [record(store, note='"kind":"odd"', long="长" * 3_000) for _ in range(450)]
    wanted = Filter(metadata={"kind": "odd"})
    paid: list[int] = []
    whole: list[object] = []
    monkeypatch.setattr(store, "jobs", lambda *args: whole.append(args))
    jobs, cursor = page(store, "", wanted, None, 20, charge=lambda: paid.append(1))
    assert (jobs, whole) == ([], []), "a record that does not match is not fetched"
    assert cursor == sorted(ids)[-300], "two mebibytes are three slices of these"
    assert len(paid) == 2
    assert page(store, "", wanted, cursor, 20) == ([], None)


def test_the_list_does_not_grow_for_ever(store: JobStore) -> None:
    gone = [record(store) for _ in range(50)]
    store.redis.delete(*map(job_key, gone))
    kept = [record(store) for _ in range(30)]
    assert store.redis.zrange(owner_jobs_key(""), 0, -1) == [job_id.encode() for job_id in sorted(kept)]
    delete_job(store, kept[0], "")
    assert store.redis.zcard(owner_jobs_key("")) == 29
    assert store.redis.pttl(owner_jobs_key("")) > 0


def test_what_is_gone_is_not_listed(store: JobStore) -> None:
    gone, kept = record(store), record(store)
    store.redis.delete(job_key(gone))
    assert [job.id for job in page(store, "", Filter(), None, 9)[0]] == [kept]


def test_an_idempotency_key_makes_one_job(store: JobStore) -> None:
    key = IdempotencyKey("anna", "k1", "hash")
    first = record(store, "anna", key)
    assert record(store, "anna", key) == first == store.remembered(key)
    assert store.redis.zcard(owner_jobs_key("anna")) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        record(store, "anna", IdempotencyKey("anna", "k1", "another"))
    assert record(store, "bert", IdempotencyKey("bert", "k1", "hash")) != first, "keys are their owners'"
    assert store.redis.pttl(key.redis_key) > 86_000_000
    assert b"k1" not in key.redis_key.encode()


def test_a_key_is_in_flight_until_its_body_is_whole(store: JobStore) -> None:
    key, job_id = IdempotencyKey("", "k1"), store.ids.issue()
    assert reserve_key(store, key, job_id) is None
    store.create(
        job_id,
        Terms(queue_class=BULK),
        [Chunk(job_id, 0, [Item.accept("好", 9)])],
        key=key,
        feed=FEED,
    )
    for other in (key, IdempotencyKey("", "k1", "hash")):
        with pytest.raises(IdempotencyKeyInFlightError):
            store.remembered(other)
    assert reserve_key(store, key, store.ids.issue()) == (OPEN, job_id)
    assert store.redis.pttl(key.redis_key) <= 60_000, "should the reader die, the key is free again"
    close(store, job_id, IdempotencyKey("", "k1", "hash"))
    assert store.remembered(IdempotencyKey("", "k1", "hash")) == job_id
    assert reserve_key(store, key, store.ids.issue()) == ("hash", job_id)


def test_the_key_of_an_upload_that_was_cut_is_free_again(store: JobStore) -> None:
    key, job_id = IdempotencyKey("", "k1"), store.ids.issue()
    reserve_key(store, key, job_id)
    store.create(
        job_id,
        Terms(queue_class=BULK),
        [Chunk(job_id, 0, [Item.accept("好", 9)])],
        key=key,
        feed=FEED,
    )
    close(store, job_id, key)
    assert reserve_key(store, key, store.ids.issue()) is None
