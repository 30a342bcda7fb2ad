"""What callers give beside the texts stays with the job, comes back with its item, and is erased with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest

from tasks.errors import JobDataTooLargeError
from tasks.store import leases, uploads
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.kept import kept_bytes
from tasks.store.keys import job_key
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retry_terms, retryable_items
from tasks.vocabulary.attachments import (
    MAX_DATA_BYTES,
    MAX_JOB_DATA_BYTES,
    Attachment,
    decode_attachments,
    encode_attachments,
)
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.codec import encode_chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

BULK = QueueClass.BULK
FEED = Feed.begin("5eed", resumable=False)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)


def shop(number: int) -> bytes | None:
    """Return the data of an item, none for every third, with spaces, a break and escapes as they came."""
    return None if number % 3 == 2 else b'{ "shop":\n %d.10, "\\u5e97": "\\u0000\xe5\xba\x97" }' % number


def chunk(job_id: str, start: int, items: int = 4, data: Callable[[int], bytes | None] = shop) -> Chunk:
    made = [Item.accept("好" * 9, 99, None, data(start + i)) for i in range(items)]
    return Chunk(job_id, start, made)


def submit(store: JobStore, starts: Sequence[int] = (0, 4, 8)) -> str:
    job_id = store.ids.issue()
    store.create(job_id, Terms(queue_class=BULK), [chunk(job_id, start) for start in starts])
    return job_id


def finish(store: JobStore, budget: int = 10**9) -> None:
    """Score all that waits."""
    while held := leases.lease(store, CHILD, budget):
        results = [
            ChunkResult(each.chunk, [rated(0.75, 5, 5)] * len(each.chunk.items), 1) for each in held.chunks
        ]
        leases.finish(store, held, results, {"id": "test"})


def test_attachments_read_as_they_were_written() -> None:
    items = chunk("job", 0, 7).items
    assert decode_attachments(encode_attachments(items)) == [Attachment(shop(i)) for i in range(7)]
    assert encode_attachments([Item.accept("好", 9)]) == b""
    assert all(json.loads(each.data) for each in items if each.data), "the cases are JSON"
    texts = [Item.accept("零\0", 9), Item.accept(" ", 9)]
    kept = decode_attachments(encode_attachments(texts, keep_texts=True))
    assert kept == [Attachment(text="零\0"), Attachment()]
    retried = [Item.accept("好", 9, data=b"{}")._replace(source_index=i) for i in (0, 7)]
    assert decode_attachments(encode_attachments(retried)) == [Attachment(b"{}", None, i) for i in (0, 7)]


def test_children_get_no_data(store: JobStore) -> None:
    submit(store, [0])
    held = leases.lease(store, CHILD, 10**9)
    assert held
    assert [item.data for item in held.chunks[0].chunk.items] == [None] * 4
    assert b"shop" not in encode_chunk(chunk("job", 0))


@pytest.mark.parametrize("split", ["whole", "child died", "child was sick", "canceled"])
def test_each_item_comes_back_with_its_own_data(store: JobStore, split: str) -> None:
    job_id = submit(store)
    if split in ("child died", "canceled"):
        assert leases.lease(store, CHILD, 10**9)
        Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    for _ in range(3 * (split == "child was sick")):
        held = leases.lease(store, CHILD, 10**9)
        assert held
        for each in held.chunks:
            leases.return_chunk(store, held, each, leases.ReturnReason.SICK)
    assert store.redis.hlen(job_key(job_id, "chunks")) == (3 if split == "whole" else 12)
    if split == "canceled":
        cancel_job(store, job_id)
    finish(store)
    expected = list(map(shop, range(12)))
    assert [item.data for item in store.results(job_id, 0, 99).items] == expected
    assert [item.data for item in store.results(job_id, 4, 3).items] == expected[4:8][
        : 4 if split == "whole" else 3
    ]
    by_completion = [item for items in store.results_by_completion(job_id, 0, 99) for item in items]
    assert {item.index: item.data for item in by_completion} == dict(enumerate(expected))


def test_an_upload_keeps_the_data_of_later_chunks(store: JobStore) -> None:
    job_id = store.ids.issue()
    plain = chunk(job_id, 0, data=lambda _: None)
    store.create(job_id, Terms(queue_class=BULK), [plain], feed=FEED)
    assert not store.redis.exists(job_key(job_id, "attachments"))
    for _ in range(2):
        assert uploads.append_chunks(store, [chunk(job_id, 4), chunk(job_id, 8)], FEED)
    uploads.close(store, job_id)
    finish(store)
    assert [item.data for item in store.results(job_id, 0, 99).items] == [None] * 4 + list(
        map(shop, range(4, 12))
    )
    assert int(store.redis.hget(job_key(job_id), "data_bytes")) == sum(
        len(shop(i) or b"") for i in range(4, 12)
    )


def test_an_upload_with_too_much_data_is_refused_where_it_exceeds_the_limit(store: JobStore) -> None:
    job_id = store.ids.issue()
    store.create(job_id, Terms(queue_class=BULK), [chunk(job_id, 0)], feed=FEED)
    coming = sum(len(shop(i) or b"") for i in range(4, 8))
    store.redis.hset(job_key(job_id), "data_bytes", MAX_JOB_DATA_BYTES - coming)
    assert uploads.append_chunks(store, [chunk(job_id, 4)], FEED)
    with pytest.raises(JobDataTooLargeError, match=str(MAX_JOB_DATA_BYTES)):
        uploads.append_chunks(store, [chunk(job_id, 8)], FEED)
    assert uploads.append_chunks(store, [chunk(job_id, 8, data=lambda _: None)], FEED)
    assert store.job(job_id).counts.total == 12


def test_data_is_compressed_and_charged_to_its_owner(store: JobStore) -> None:
    def large(number: int) -> bytes:
        return b'{"note":"%s%d"}' % (b"x" * (MAX_DATA_BYTES - 50), number)

    charged = []
    for data in (shop, large):
        job_id = store.ids.issue("anna")
        before = kept_bytes(store).get("anna", 0)
        store.create(job_id, Terms(queue_class=BULK, owner="anna"), [chunk(job_id, 0, 64, data)])
        charged.append(kept_bytes(store)["anna"] - before)
        stored = sum(map(len, store.redis.hvals(job_key(job_id, "attachments"))))
        assert 0 < stored < sum(len(data(i) or b"") for i in range(64)) / 2
        texts = sum(map(len, store.redis.hvals(job_key(job_id, "chunks"))))
        assert stored + texts < charged[-1] < stored + texts + 2500
    finish(store)
    assert kept_bytes(store)["anna"] > sum(map(len, store.redis.hvals(job_key(job_id, "attachments"))))


@pytest.mark.parametrize("done", [False, True])
def test_data_goes_when_its_job_is_deleted_or_expires(store: JobStore, *, done: bool) -> None:
    deleted, expiring = submit(store), submit(store)
    if done:
        finish(store)
    data, record = (store.redis.pttl(job_key(expiring, part)) for part in ("attachments", ""))
    assert data > 0
    assert abs(record - data) < 1000
    delete_job(store, deleted, "")
    assert store.redis.exists(*(job_key(each, "attachments") for each in (deleted, expiring))) == 1


def test_an_item_that_fails_keeps_its_data(store: JobStore) -> None:
    job_id = store.ids.issue()
    items = [Item.accept(" ", 9, None, b'{"a":1}'), Item("", 0, None, ItemError.INVALID_TEXT, b"{}")]
    store.create(job_id, Terms(queue_class=BULK), [Chunk(job_id, 0, items)])
    held = leases.lease(store, CHILD, 10**9)
    assert held
    errors = [item.error for item in held.chunks[0].chunk.items if item.error]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, errors, 1)], {"id": "test"})
    assert [(item.outcome, item.data) for item in store.results(job_id, 0, 9).items] == [
        (ItemError.EMPTY_TEXT, b'{"a":1}'),
        (ItemError.INVALID_TEXT, b"{}"),
    ]


@pytest.mark.parametrize("split", [False, True])
def test_a_retried_item_keeps_its_data_and_names_its_source(store: JobStore, *, split: bool) -> None:
    job_id = submit(store)
    held = leases.lease(store, CHILD, 10**9)
    if split:
        Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[])
    failing = {1, 4, 5, 6, 11}
    while held := leases.lease(store, CHILD, 10**9) if split else held:
        results = [
            ChunkResult(each.chunk, [end_of(each.chunk, i, failing) for i in range(len(each.chunk.items))], 1)
            for each in held.chunks
        ]
        leases.finish(store, held, results, {"id": "test"})
        held = None
    job = store.job(job_id)
    items = list(retryable_items(store, job))
    assert [(item.source_index, item.data, item.text) for item in items] == [
        (i, shop(i), "好" * 9) for i in sorted(failing)
    ]
    again = store.ids.issue()
    store.create(again, retry_terms(job), [Chunk(again, 0, items)])
    finish(store)
    read = store.results(again, 0, 99).items
    assert [(item.source_index, item.data, item.text) for item in read] == [
        (i, shop(i), None) for i in sorted(failing)
    ]


def end_of(given: Chunk, number: int, failing: set[int]) -> Outcome:
    return ItemError.INFERENCE_FAILED if given.start + number in failing else rated(0.75, 5, 5)


def test_texts_come_back_only_where_the_job_keeps_them(store: JobStore) -> None:
    for keeps in (False, True):
        job_id = store.ids.issue()
        terms = Terms(queue_class=BULK, keep_texts=keeps)
        first, second = (
            Chunk(job_id, start, [Item.accept(f"第{start}个", 9), Item.accept("", 9)]) for start in (0, 2)
        )
        store.create(job_id, terms, [first], feed=FEED)
        assert uploads.append_chunks(store, [second], FEED, keep_texts=keeps)
        uploads.close(store, job_id)
        finish(store)
        texts = [item.text for item in store.results(job_id, 0, 9).items]
        assert texts == (["第0个", None, "第2个", None] if keeps else [None] * 4)
        assert store.job(job_id).terms.keep_texts is keeps
