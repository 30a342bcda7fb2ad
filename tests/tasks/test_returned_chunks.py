"""What a child returns is pending again, uncounted, until it may be what made children sick."""

from __future__ import annotations

import pytest

from tasks.store import leases
from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key, leased_key, leases_key, pending_key
from tasks.store.leases import Holder, Lease, ReturnReason
from tasks.vocabulary.chunks import Chunk, ChunkRef, ChunkResult
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
SICK, TIME = ReturnReason.SICK, ReturnReason.TIME


def record(store: JobStore, *chunks: str) -> str:
    """Create a job with a chunk for each text, and an item for each of its characters."""
    job_id, start, made = store.ids.issue(), 0, []
    for texts in chunks:
        made.append(Chunk(job_id, start, [Item.accept(text, 9) for text in texts]))
        start += len(texts)
    store.create(job_id, Terms(queue_class=BULK), made)
    return job_id


def take(store: JobStore, pid: int = 1) -> Lease:
    held = leases.lease(store, Holder("worker", pid, siblings=1, model=MODEL_NAME), 10**9)
    assert held is not None
    return held


def give_back(store: JobStore, held: Lease, reason: ReturnReason = SICK) -> list[int]:
    return [leases.return_chunk(store, held, leased, reason) for leased in held.chunks]


def finish(store: JobStore, held: Lease) -> int:
    good = rated(0.75, 5, 5)
    results = [
        ChunkResult(leased.chunk, [good] * len(leased.chunk.items), leased.attempts) for leased in held.chunks
    ]
    return leases.finish(store, held, results, MODEL)


def pending(store: JobStore) -> list[tuple[int, int, int]]:
    """Return start, attempts and returns of what waits."""
    refs = [ChunkRef.parse(raw) for raw in store.redis.zrange(pending_key(QUEUE), 0, -1)]
    return [(ref.start, ref.attempts, ref.returns) for ref in refs]


def test_what_is_returned_of_a_deferred_job_has_waited_since_its_time(store: JobStore) -> None:
    job_id, now = record(store, "一"), store.now_ms()
    store.redis.hset(job_key(job_id), mapping={"created": now - 60_000, "not_before": now - 1000})
    give_back(store, take(store))
    ((_, since),) = store.redis.zrange(pending_key(QUEUE), 0, -1, withscores=True)
    assert since == pytest.approx(now - 1000, abs=1)


def test_two_sick_children_return_a_chunk_uncounted_and_a_third_one_scores_it(store: JobStore) -> None:
    job_id = record(store, "一二三")
    assert give_back(store, take(store, 1)) == [1]
    assert pending(store) == [(0, 0, 1)]
    assert give_back(store, take(store, 2)) == [3]
    assert pending(store) == [(0, 0, 2), (1, 0, 2), (2, 0, 2)], "item by item"
    for _ in range(3):
        held = take(store, 3)
        assert len(held.chunks) == 1, "each alone"
        assert finish(store, held) == 1
    assert store.job(job_id).status is JobStatus.SUCCEEDED
    assert [item.attempts for item in store.results(job_id, 0, 9).items] == [1, 1, 1]


def test_a_text_that_makes_every_child_sick_ends_alone(store: JobStore) -> None:
    job_id = record(store, "好毒坏")
    sick = 0
    while held := leases.lease(store, Holder("worker", sick, siblings=1, model=MODEL_NAME), 10**9):
        if any(item.text == "毒" for leased in held.chunks for item in leased.chunk.items):
            give_back(store, held)
            sick += 1
        else:
            finish(store, held)
    assert sick == 5, "twice free, then three attempts"
    outcomes = [item.outcome for item in store.results(job_id, 0, 9).items]
    assert outcomes[1] is ItemError.INFERENCE_FAILED
    assert [store.job(job_id).counts.succeeded, store.job(job_id).counts.failed] == [2, 1]
    assert not store.redis.exists(pending_key(QUEUE), leased_key(QUEUE), leases_key("worker"))


def test_what_time_did_not_suffice_for_is_never_counted(store: JobStore) -> None:
    record(store, "一二", "三四")
    for _ in range(10):
        assert give_back(store, take(store), TIME) == [1, 1]
    assert pending(store) == [(0, 0, 0), (2, 0, 0)]
    assert Counters.read(store).counts["returned:time"] == 20


def test_a_chunk_that_takes_too_long_is_split_uncounted(store: JobStore) -> None:
    record(store, "一二三")
    held = take(store)
    assert leases.return_chunk(store, held, held.chunks[0], TIME, split=True) == 3
    assert pending(store) == [(0, 0, 0), (1, 0, 0), (2, 0, 0)]


@pytest.mark.parametrize("reason", ReturnReason)
def test_what_is_returned_comes_before_what_arrived_later(store: JobStore, reason: ReturnReason) -> None:
    first = record(store, "一")
    held = take(store)
    record(store, "二")
    give_back(store, held, reason)
    assert take(store).refs[0].job_id == first


def test_returning_twice_is_harmless(store: JobStore) -> None:
    record(store, "一二")
    held = take(store)
    assert give_back(store, held) == [1]
    assert give_back(store, held) == [1], "they are pending: the second call may be a repetition"
    assert pending(store) == [(0, 0, 1)]
    again = take(store, 2)
    assert give_back(store, held) == [0], "another child has it by now"
    assert finish(store, again) == 1
    assert give_back(store, again) == [0], "it is completed"
    assert Counters.read(store).counts["returned:sick"] == 1
    assert not pending(store)


def test_a_returned_chunk_keeps_its_returns_when_a_child_dies_with_it(store: JobStore) -> None:
    record(store, "一")
    give_back(store, take(store, 1))
    lost = take(store, 2)
    again = take(store, 2)
    assert (lost.refs[0].returns, again.refs[0].returns) == (1, 1), "the answer of the lease was lost"
