from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tasks.store import leases, workers
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    OPEN_JOBS,
    UNACKED,
    WORKERS,
    awake_key,
    backlog_key,
    leased_key,
    pending_key,
    ready_key,
)
from tasks.store.leases import Lease
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkRef, ChunkResult
from tasks.vocabulary.items import Item, ItemError, ItemStatus
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import MODEL_NAME
from tests.ready_children import report_ready
from tests.verdicts import rated

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
CHILD = 11
HOLDER = leases.Holder("worker", CHILD, siblings=1, model=MODEL_NAME)


class Publisher:
    """Notes how many wake-ups the reconciler would publish."""

    def __init__(self) -> None:
        self.published: list[int] = []

    def __call__(self, model: str, count: int) -> None:
        assert model == MODEL_NAME
        self.published.append(count)


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def pending(store: JobStore) -> list[ChunkRef]:
    return [ChunkRef.parse(raw) for raw in store.redis.zrange(pending_key(QUEUE), 0, -1)]


@pytest.fixture
def reconciler(store: JobStore, publisher: Publisher) -> Reconciler:
    report_ready(store, MODEL_NAME)
    return Reconciler(store, publisher, "worker", MODEL_NAME)


def record(store: JobStore, texts: Sequence[str]) -> str:
    job_id = store.ids.issue()
    store.create(
        job_id, Terms(queue_class=BULK), [Chunk(job_id, 0, [Item.accept(text, 99) for text in texts])]
    )
    return job_id


def take(store: JobStore) -> Lease:
    held = leases.lease(store, HOLDER, 10**9)
    assert held is not None
    return held


def finish(store: JobStore, held: Lease) -> int:
    good = rated(0.75, 5, 5)
    results = [
        ChunkResult(leased.chunk, [good] * len(leased.chunk.items), leased.attempts) for leased in held.chunks
    ]
    return leases.finish(store, held, results, MODEL)


def lapse(store: JobStore) -> None:
    """Let every lease be over."""
    for ref in store.redis.zrange(leased_key(QUEUE), 0, -1):
        store.redis.zadd(leased_key(QUEUE), {ref: 1})


def test_the_chunk_of_a_dead_child_is_pending_again_item_by_item(
    store: JobStore, reconciler: Reconciler, publisher: Publisher
) -> None:
    job_id = record(store, ["一", "二", "三"])
    dead = take(store)
    reconciler.tick(alive=[99])
    assert [(ref.start, ref.attempts) for ref in pending(store)] == [(0, 1), (1, 1), (2, 1)]
    assert publisher.published == [3]
    assert finish(store, dead) == 0, "the dead child's write comes late"
    for text in "一二三":
        held = take(store)
        assert [item.text for leased in held.chunks for item in leased.chunk.items] == [text]
        finish(store, held)
    assert store.job(job_id).status is JobStatus.SUCCEEDED
    assert [item.attempts for item in store.results(job_id, 0, 9).items] == [2, 2, 2]


def test_the_chunk_of_a_live_child_stays_its_own(
    store: JobStore, reconciler: Reconciler, publisher: Publisher
) -> None:
    record(store, ["一"])
    held = take(store)
    reconciler.tick(alive=[CHILD])
    assert not publisher.published
    assert finish(store, held) == 1


def test_a_lapsed_lease_is_taken_over_by_any_worker(store: JobStore, publisher: Publisher) -> None:
    report_ready(store, MODEL_NAME)
    record(store, ["一"])
    held = take(store)
    lapse(store)
    Reconciler(store, publisher, "another worker", MODEL_NAME).tick(alive=[])
    assert [ref.attempts for ref in pending(store)] == [1]
    assert publisher.published == [1]
    assert finish(store, held) == 0


def test_a_renewed_lease_does_not_lapse(
    store: JobStore, reconciler: Reconciler, publisher: Publisher
) -> None:
    record(store, ["一"])
    held = take(store)
    lapse(store)
    leases.renew(store, held)
    reconciler.tick(alive=[CHILD])
    assert not publisher.published


def test_a_text_that_kills_three_children_is_given_up_alone(store: JobStore, reconciler: Reconciler) -> None:
    job_id = record(store, ["好", "毒", "坏"])
    take(store)
    reconciler.tick(alive=[])
    deaths = 0
    while held := leases.lease(store, HOLDER, 10**9):
        if held.chunks[0].chunk.items[0].text == "毒":
            deaths += 1
            reconciler.tick(alive=[])
        else:
            finish(store, held)
    assert deaths == 2, "once with the others, twice alone"
    job = store.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.failed) == (JobStatus.PARTIAL, 2, 1)
    outcomes = [item.outcome for item in store.results(job_id, 0, 9).items]
    assert outcomes[1] is ItemError.WORKER_LOST
    assert not store.redis.exists(pending_key(QUEUE), leased_key(QUEUE))


def test_a_text_that_no_child_answers_in_time_is_given_up_as_that(
    store: JobStore, publisher: Publisher
) -> None:
    job_id = record(store, ["慢"])
    for _ in range(3):
        take(store)
        lapse(store)
        Reconciler(store, publisher, "another worker", MODEL_NAME).tick(alive=[])
        store.redis.delete("sentiq:reconciler")
    (item,) = store.results(job_id, 0, 9).items
    assert (item.outcome, item.attempts) == (ItemError.ATTEMPTS_EXHAUSTED, 3)
    assert store.job(job_id).status is JobStatus.FAILED


def test_an_overdue_job_is_closed_and_keeps_what_it_has(store: JobStore, reconciler: Reconciler) -> None:
    job_id = store.ids.issue()
    store.create(
        job_id,
        Terms(queue_class=BULK),
        [Chunk(job_id, i, [Item.accept("一", 9), Item.accept("", 9)]) for i in (0, 2)],
    )
    first = leases.lease(store, HOLDER, 0)
    assert first is not None
    finish(store, first)
    store.redis.hset(f"sentiq:job:{job_id}", "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    assert leases.lease(store, HOLDER, 0) is None, "overdue items are not scored"
    reconciler.tick(alive=[CHILD])
    job = store.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.timed_out) == (JobStatus.TIMED_OUT, 2, 1)
    statuses = [item.status for item in store.results(job_id, 0, 9).items]
    assert statuses == [ItemStatus.SUCCEEDED, ItemStatus.SUCCEEDED, ItemStatus.TIMED_OUT, ItemStatus.FAILED]
    assert not store.redis.exists(OPEN_JOBS)


def test_what_lapsed_while_redis_was_away_is_no_attempt(
    store: JobStore, reconciler: Reconciler, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, ["一"])
    reconciler.tick(alive=[CHILD])
    take(store)
    away_ms = store.now_ms()
    store.redis.zadd(leased_key(QUEUE), dict.fromkeys(store.redis.zrange(leased_key(QUEUE), 0, -1), away_ms))
    for later_ms in (60_000, 62_000):
        monkeypatch.setattr(store, "now_ms", lambda: away_ms + later_ms)  # noqa: B023  called at once
        reconciler.tick(alive=[CHILD])
        assert not publisher.published, "its child may still finish"
    monkeypatch.setattr(store, "now_ms", lambda: away_ms + 64_000)
    reconciler.tick(alive=[CHILD])
    assert [ref.attempts for ref in pending(store)] == [0]


@pytest.mark.parametrize("end", ["asks again", "dies"])
def test_a_child_that_lost_its_lease_takes_nothing_from_the_next_holder(
    store: JobStore, reconciler: Reconciler, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    job_id = record(store, ["一"])
    slow = take(store)
    another = Reconciler(store, publisher, "another worker", MODEL_NAME)
    another.tick(alive=[])
    away_ms = store.now_ms()
    store.redis.zadd(leased_key(QUEUE), {str(slow.refs[0]): away_ms})
    for later_ms in (60_000, 62_000, 64_000):
        monkeypatch.setattr(store, "now_ms", lambda: away_ms + later_ms)  # noqa: B023  called at once
        another.tick(alive=[])
    monkeypatch.undo()
    held = leases.lease(store, leases.Holder("another worker", 22, siblings=1, model=MODEL_NAME), 10**9)
    assert held is not None
    assert held.refs == slow.refs, "that lease was no attempt"
    if end == "asks again":
        assert leases.lease(store, HOLDER, 10**9) is None
    reconciler.tick(alive=[])
    assert not pending(store)
    assert finish(store, held) == 1
    assert [item.attempts for item in store.results(job_id, 0, 9).items] == [1]


def test_a_long_round_is_no_outage_of_redis(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, real = [0], store.now_ms
    monkeypatch.setattr(store, "now_ms", lambda: real() + 10_000 * rounds[0])

    def take_long(_: str, __: int) -> None:
        rounds[0] += 1

    busy = Reconciler(store, take_long, "worker", MODEL_NAME)
    record(store, ["一"])
    for attempts in (1, 2):
        take(store)
        lapse(store)
        busy.tick(alive=[CHILD])
        assert [ref.attempts for ref in pending(store)] == [attempts]


@pytest.mark.parametrize("missing", [3, -2])
def test_a_job_whose_counts_disagree_is_closed_at_its_deadline(
    store: JobStore, reconciler: Reconciler, missing: int
) -> None:
    job_id = record(store, ["一", "二"])
    store.redis.hincrby(f"sentiq:job:{job_id}", "total", missing)
    finish(store, take(store))
    store.redis.hset(f"sentiq:job:{job_id}", "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    reconciler.tick(alive=[CHILD])
    job = store.job(job_id)
    assert job.status.terminal
    assert job.counts.pending <= 0
    assert job.counts.timed_out == max(0, missing)
    assert not store.redis.exists(OPEN_JOBS)


def test_a_job_whose_texts_are_gone_is_closed_at_its_deadline(
    store: JobStore, reconciler: Reconciler
) -> None:
    job_id = record(store, ["一", "二"])
    store.redis.delete(f"sentiq:job:{job_id}:chunks")
    store.redis.hset(f"sentiq:job:{job_id}", "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    reconciler.tick(alive=[CHILD])
    job = store.job(job_id)
    assert (job.status, job.counts.timed_out) == (JobStatus.TIMED_OUT, 2)
    assert int(store.redis.hget(backlog_key(QUEUE), "items") or 0) == 0


def test_lost_wakeups_are_republished_once_in_a_while(
    store: JobStore, reconciler: Reconciler, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, ["一"])
    reconciler.tick(alive=[])
    assert not publisher.published, "a fresh chunk may still be on its way"
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now + 2_000)
    reconciler.tick(alive=[])
    reconciler.tick(alive=[])
    assert publisher.published == [1]
    assert store.redis.hget("sentiq:counters", "republished") == b"1"


def test_nothing_is_republished_while_wakeups_wait(
    store: JobStore, reconciler: Reconciler, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, ["一"])
    store.redis.lpush(wakeup_queue(MODEL_NAME), "a message")
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now + 60_000)
    reconciler.tick(alive=[])
    assert not publisher.published


def test_a_lost_wakeup_costs_five_seconds_whatever_workers_have_not_acknowledged(
    store: JobStore, reconciler: Reconciler, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(store, ["一"])
    store.redis.hset(UNACKED, "tag", "a message that a busy worker holds")
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now + 2_000)
    reconciler.tick(alive=[])
    assert not publisher.published, "a worker may be busy or starting"
    monkeypatch.setattr(store, "now_ms", lambda: now + 4_000)
    reconciler.tick(alive=[])
    assert publisher.published == [1]


def test_workers_that_are_gone_are_forgotten(store: JobStore, publisher: Publisher) -> None:
    reconciler = Reconciler(store, publisher, "worker", MODEL_NAME)
    now = store.now_ms()
    heartbeats = {"old": now - 61_000, "just gone": now - 1_000, "alive": now + 9_000}
    for name, until_ms in heartbeats.items():
        status = {"alive_until_ms": until_ms, "children": 1, "ready": 1, "model": {"id": name}}
        store.redis.hset(WORKERS, name, json.dumps(status))
    reconciler.tick(alive=[])
    assert set(store.redis.hkeys(WORKERS)) == {b"just gone", b"alive"}
    assert workers.live_models(store) == [{"id": "alive"}]


def test_one_reconciler_leads(store: JobStore, publisher: Publisher) -> None:
    first, second = (
        Reconciler(store, publisher, "first", MODEL_NAME),
        Reconciler(store, publisher, "second", MODEL_NAME),
    )
    report_ready(store, MODEL_NAME)
    record(store, ["一"])
    first.tick(alive=[])
    leases.lease(store, leases.Holder("third", CHILD, 1, model=MODEL_NAME), 0)
    lapse(store)
    second.tick(alive=[])
    assert not publisher.published, "second does not lead"
    first.tick(alive=[])
    assert publisher.published == [1]


def test_children_that_become_ready_are_woken_for_what_waits(
    store: JobStore, reconciler: Reconciler, publisher: Publisher
) -> None:
    for text in "一二三":
        record(store, [text])
    store.redis.set(ready_key(MODEL_NAME), 7)
    reconciler.tick(alive=[])
    assert publisher.published == [3]
    reconciler.tick(alive=[])
    assert publisher.published == [3], "once"
    assert not store.redis.hget("sentiq:counters", "republished"), "nothing was lost"


def test_while_all_children_are_awake_nothing_counts_as_lost(
    store: JobStore, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_ready(store, MODEL_NAME, children=1)
    reconciler = Reconciler(store, publisher, "worker", MODEL_NAME)
    record(store, ["一"])
    take(store)
    record(store, ["二"])
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now + 4_000)
    reconciler.tick(alive=[CHILD])
    assert not publisher.published


def test_a_dead_child_is_awake_no_longer(store: JobStore, reconciler: Reconciler) -> None:
    record(store, ["一"])
    take(store)
    reconciler.tick(alive=[CHILD])
    assert store.redis.zcard(awake_key(MODEL_NAME)) == 1
    reconciler.tick(alive=[])
    assert store.redis.zcard(awake_key(MODEL_NAME)) == 0
