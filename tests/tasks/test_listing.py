from __future__ import annotations

import pytest

from tasks.errors import KeyInFlightError, KeyReusedError
from tasks.store.cancel import delete
from tasks.store.idempotency import Key
from tasks.store.jobs import Ledger
from tasks.store.keys import job_key, jobs_of
from tasks.store.listing import Filter, page
from tasks.store.uploads import reserve, seal
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms

BULK = QueueClass.BULK


def record(ledger: Ledger, owner: str = "", key: Key | None = None, **metadata: str) -> str:
    job_id = ledger.ids.mint(owner)
    terms = Terms(owner=owner, metadata=metadata)
    return ledger.create([Chunk(job_id, 0, [Item.accept("好", 9)])], BULK, terms, key=key).id


def test_an_owners_jobs_come_newest_first_page_by_page(ledger: Ledger) -> None:
    ids = [record(ledger, "anna") for _ in range(250)]
    record(ledger, "bert")
    seen, cursor = [], None
    while True:
        jobs, cursor = page(ledger, "anna", Filter(), cursor, 60)
        seen += [job.id for job in jobs]
        if cursor is None:
            break
        assert len(jobs) == 60
    assert seen == sorted(ids, reverse=True)


def test_jobs_are_found_by_what_they_are(ledger: Ledger) -> None:
    ids = [record(ledger, kind="even" if i % 2 == 0 else "odd") for i in range(6)]
    even = Filter(wanted=lambda job: job.terms.metadata["kind"] == "even")
    assert {job.id for job in page(ledger, "", even, None, 9)[0]} == set(ids[::2])
    times = sorted(ledger.job(job_id).created_ms for job_id in ids)
    assert not page(ledger, "", Filter(created_after_ms=times[-1]), None, 9)[0]
    assert not page(ledger, "", Filter(created_before_ms=times[0]), None, 9)[0]
    between = Filter(created_after_ms=times[0] - 1, created_before_ms=times[-1] + 1)
    assert len(page(ledger, "", between, None, 9)[0]) == 6


def test_the_list_does_not_grow_for_ever(ledger: Ledger) -> None:
    gone = [record(ledger) for _ in range(50)]
    ledger.redis.delete(*map(job_key, gone))
    kept = [record(ledger) for _ in range(30)]
    assert ledger.redis.zrange(jobs_of(""), 0, -1) == [job_id.encode() for job_id in sorted(kept)]
    delete(ledger, kept[0], "")
    assert ledger.redis.zcard(jobs_of("")) == 29
    assert ledger.redis.pttl(jobs_of("")) > 0


def test_what_is_gone_is_not_listed(ledger: Ledger) -> None:
    gone, kept = record(ledger), record(ledger)
    ledger.redis.delete(job_key(gone))
    assert [job.id for job in page(ledger, "", Filter(), None, 9)[0]] == [kept]


def test_an_idempotency_key_makes_one_job(ledger: Ledger) -> None:
    key = Key("anna", "k1", "hash")
    first = record(ledger, "anna", key)
    assert record(ledger, "anna", key) == first == ledger.remembered(key)
    assert ledger.redis.zcard(jobs_of("anna")) == 1
    with pytest.raises(KeyReusedError):
        record(ledger, "anna", Key("anna", "k1", "another"))
    assert record(ledger, "bert", Key("bert", "k1", "hash")) != first, "keys are their owners'"
    assert ledger.redis.pttl(key.place) > 86_000_000
    assert b"k1" not in key.place.encode()


def test_a_key_is_in_flight_until_its_body_is_whole(ledger: Ledger) -> None:
    key, job_id = Key("", "k1"), ledger.ids.mint()
    assert reserve(ledger, key, job_id) is None
    ledger.create([Chunk(job_id, 0, [Item.accept("好", 9)])], BULK, key=key, silence_ms=60_000)
    for other in (key, Key("", "k1", "hash")):
        with pytest.raises(KeyInFlightError):
            ledger.remembered(other)
    with pytest.raises(KeyInFlightError):
        reserve(ledger, key, ledger.ids.mint())
    assert ledger.redis.pttl(key.place) <= 60_000, "should the reader die, the key is free again"
    seal(ledger, job_id, Key("", "k1", "hash"))
    assert ledger.remembered(Key("", "k1", "hash")) == job_id
    assert reserve(ledger, key, ledger.ids.mint()) == job_id


def test_the_key_of_an_upload_that_was_cut_is_free_again(ledger: Ledger) -> None:
    key, job_id = Key("", "k1"), ledger.ids.mint()
    reserve(ledger, key, job_id)
    ledger.create([Chunk(job_id, 0, [Item.accept("好", 9)])], BULK, key=key, silence_ms=60_000)
    seal(ledger, job_id, key)
    assert reserve(ledger, key, ledger.ids.mint()) is None
