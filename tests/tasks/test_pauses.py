"""What is paused waits, its deadline stands still, and nobody else is held up; resumed, it gets no burst."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import pytest

from tasks.errors import DeadlineTooShortError, QuotaExceededError
from tasks.store import audit, leases, models, pauses, uploads
from tasks.store.audit import Author
from tasks.store.backlog import read_backlogs, read_lines
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    DEFERRED,
    OPEN_JOBS,
    OWNERS,
    PAUSES,
    UNSETTLED,
    backlog_key,
    job_key,
    kept_until_key,
    leased_key,
    leases_key,
    lines_key,
    owner_jobs_key,
    parked_key,
    parked_lines_key,
    parked_shares_key,
    pending_key,
    shares_key,
    tags_key,
    turns_key,
    waiting_key,
)
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tasks.vocabulary.pauses import PauseTarget
from tests.conftest import MODEL_NAME
from tests.tasks.test_any_order import World, require_recount
from tests.verdicts import rated

BULK, INTERACTIVE = Queue(MODEL_NAME, QueueClass.BULK), Queue(MODEL_NAME, QueueClass.INTERACTIVE)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
OTHER_CHILD = leases.Holder("worker", 2, siblings=1, model=MODEL_NAME)
MODEL = {"id": "x", "revision": "1", "engine": "none"}
OPERATOR = Author("0perator", "192.0.2.1")
TARGETS = [PauseTarget.parse(text) for text in ("owner:a", f"model:{MODEL_NAME}", "class:bulk")]
HOUR_MS, DAY_MS, YEAR_MS = 3_600_000, 86_400_000, 365 * 86_400_000


def submit(store: JobStore, owner: str = "a", items: int = 3, queue: Queue = BULK, **terms: object) -> str:
    """Create a job with a chunk for each item."""
    job_id = store.ids.issue(owner)
    chunks = [Chunk(job_id, i, [Item.accept("十个字的文本十个字哦", 99)]) for i in range(items)]
    given = {"queue_class": queue.queue_class, "owner": owner, "model": queue.model}
    store.create(job_id, Terms(**given | terms), chunks)  # type: ignore[arg-type]
    return job_id


def lease(store: JobStore, child: leases.Holder = CHILD, budget: int = 10**9) -> leases.Lease:
    held = leases.lease(store, child, budget)
    assert held is not None
    return held


def finish(store: JobStore, held: leases.Lease) -> None:
    results = [ChunkResult(each.chunk, [rated(0.7, 5, 5)] * len(each.chunk.items), 1) for each in held.chunks]
    leases.finish(store, held, results, MODEL)


def finish_all(store: JobStore) -> list[str]:
    """Do all that can be leased; return the owners in the order in which they were served."""
    served = []
    while held := leases.lease(store, CHILD, 10):
        served += [
            store.job(each.ref.job_id, owner_of(store, each.ref.job_id)).terms.owner for each in held.chunks
        ]
        finish(store, held)
    return served


def owner_of(store: JobStore, job_id: str) -> str:
    return (store.redis.hget(job_key(job_id), "owner") or b"").decode()


def pause(store: JobStore, target: str | PauseTarget, reason: str = "") -> None:
    pauses.pause(store, PauseTarget.parse(str(target)), OPERATOR, reason)


def resume(store: JobStore, target: str | PauseTarget) -> list[tuple[str, int]]:
    return pauses.resume(store, PauseTarget.parse(str(target)), OPERATOR)


def tick(store: JobStore, alive: tuple[int, ...] = (1, 2)) -> list[tuple[str, int]]:
    published: list[tuple[str, int]] = []
    Reconciler(store, lambda *wakeup: published.append(wakeup), "worker", MODEL_NAME).tick(alive)
    return published


def pass_ms(store: JobStore, job_id: str, ms: int) -> None:
    """Have a pause that began now have begun so long ago, and the deadline of the job with it."""
    for field in ("paused_at", "paused_deadline", "created"):
        store.redis.hincrby(job_key(job_id), field, -ms)


def counted(store: JobStore, queue: Queue = BULK) -> tuple[int, int]:
    """Return the pending and the paused items of a queue; the lines of owners add up to them."""
    read = read_backlogs(store, [MODEL_NAME])[queue]
    assert sum(read_lines(store, [queue])[queue].items.values()) == read.items
    parked = store.redis.hgetall(parked_lines_key(queue))
    assert sum(int(n) for field, n in parked.items() if field.startswith(b"items:")) == read.paused
    return read.items, read.paused


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_nothing_that_is_paused_is_leased_until_it_is_resumed(store: JobStore, target: PauseTarget) -> None:
    before = submit(store)
    pause(store, target)
    after = submit(store)
    assert leases.lease(store, CHILD, 10**9) is None
    assert counted(store) == (0, 6)
    assert [store.job(job_id, "a").status for job_id in (before, after)] == [JobStatus.QUEUED] * 2
    assert all(store.job(job_id, "a").paused_ms for job_id in (before, after))
    assert tick(store) == []
    assert resume(store, target) == [(MODEL_NAME, 6)]
    assert counted(store) == (6, 0)
    assert store.job(before, "a").paused_ms is None
    assert finish_all(store) == ["a"] * 6
    assert [store.job(job_id, "a").status for job_id in (before, after)] == [JobStatus.SUCCEEDED] * 2
    require_nothing_left(store)


def require_nothing_left(store: JobStore) -> None:
    assert counted(store) == (0, 0)
    for queue in (BULK, INTERACTIVE):
        for key in (
            waiting_key,
            turns_key,
            parked_key,
            shares_key,
            lines_key,
            parked_shares_key,
            parked_lines_key,
        ):
            assert not store.redis.exists(key(queue)), key(queue)
    assert not store.redis.exists(OPEN_JOBS, OWNERS, PAUSES, UNSETTLED)


@pytest.mark.parametrize("target", ["owner:a", "class:bulk"])
def test_others_are_served_while_something_is_paused(store: JobStore, target: str) -> None:
    submit(store)
    other = submit(store, "b", queue=BULK if target == "owner:a" else INTERACTIVE)
    pause(store, target)
    assert finish_all(store) == ["b"] * 3
    assert store.job(other, "b").status is JobStatus.SUCCEEDED
    assert counted(store) == (0, 3)


def test_another_model_is_served_while_one_is_paused(store: JobStore) -> None:
    models.register(store, MODEL_NAME, {})
    models.register(store, "other", {})
    submit(store)
    submit(store, queue=Queue("other", QueueClass.BULK))
    pause(store, "model:other")
    assert finish_all(store) == ["a"] * 3
    assert leases.lease(store, leases.Holder("worker", 1, 1, "other"), 10**9) is None


def test_pauses_overlap_and_each_is_resumed_alone(store: JobStore) -> None:
    job_id = submit(store)
    for target in TARGETS:
        pause(store, target)
    for target in TARGETS:
        assert leases.lease(store, CHILD, 10**9) is None
        assert store.job(job_id, "a").paused_ms
        assert counted(store) == (0, 3)
        resume(store, target)
    assert finish_all(store) == ["a"] * 3
    require_nothing_left(store)


def test_pause_and_resume_are_idempotent_and_say_who_since_when_and_why(store: JobStore) -> None:
    submit(store)
    for by, reason in (("anna", "too much"), ("ben", "again")):
        pauses.pause(store, PauseTarget.parse("owner:a"), Author(by), reason)
    (kept,) = pauses.read_pauses(store)
    assert (str(kept.target), kept.by, kept.reason) == ("owner:a", "anna", "too much")
    assert kept.since_ms == pytest.approx(store.now_ms(), abs=2000)
    assert pauses.paused_items(store, [kept.target, *TARGETS]) == dict.fromkeys(TARGETS, 3)
    assert counted(store) == (0, 3)
    assert resume(store, "owner:a") == [(MODEL_NAME, 3)]
    assert resume(store, "owner:a") == []
    assert counted(store) == (3, 0)
    recorded = [(each.action, each.by, each.key_id, each.detail) for each in audit.entries(store.redis)]
    assert recorded == [
        ("pause_work", "anna", "a", "owner:a: too much"),
        ("pause_work", "ben", "a", "owner:a: again"),
        ("resume_work", "0perator", "a", "owner:a"),
        ("resume_work", "0perator", "a", "owner:a"),
    ]


def test_work_under_way_is_finished_and_its_lease_is_kept(store: JobStore) -> None:
    job_id = submit(store, items=4)
    held = lease(store, budget=15)
    lease(store, OTHER_CHILD, 15)
    given_back = lease(store, leases.Holder("worker", 3, 1, MODEL_NAME), 15)
    pause(store, "owner:a")
    assert counted(store) == (0, 4)
    leases.renew(store, held)
    assert lease(store).token == held.token, "an answer that was lost is given again"
    finish(store, held)
    assert leases.return_chunk(store, given_back, given_back.chunks[0], leases.ReturnReason.TIME)
    tick(store, alive=(1, 3))  # the other child died
    assert store.job(job_id, "a").counts.pending == 3
    assert counted(store) == (0, 3)
    assert leases.lease(store, OTHER_CHILD, 10**9) is None
    assert not store.redis.exists(leased_key(BULK), turns_key(BULK), waiting_key(BULK))
    resume(store, "owner:a")
    assert finish_all(store) == ["a"] * 3
    assert {item.attempts for item in store.results(job_id, 0, 10).items} == {1}
    require_nothing_left(store)


def test_a_job_whose_last_work_is_finished_during_a_pause_ends_as_ever(store: JobStore) -> None:
    job_id = submit(store, items=1, result_ttl_s=700)
    held = lease(store)
    pause(store, "owner:a")
    finish(store, held)
    job = store.job(job_id, "a")
    assert (job.status, job.paused_ms, job.terms.deadline_s) == (JobStatus.SUCCEEDED, None, 86_400)
    assert store.redis.pttl(job_key(job_id)) == pytest.approx(700_000, abs=2000)
    assert store.redis.zscore(kept_until_key("a"), job_id) == pytest.approx(
        store.now_ms() + 700_000, abs=2000
    )
    assert store.redis.pttl(job_key(job_id, "results")) == pytest.approx(700_000, abs=2000)


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("first", ["job", "pause"])
def test_deadlines_stand_still(store: JobStore, target: PauseTarget, first: str) -> None:
    if first == "job":
        job_id = submit(store, deadline_s=60, result_ttl_s=600)
        pause(store, target)
    else:
        pause(store, target)
        job_id = submit(store, deadline_s=60, result_ttl_s=600)
    before = store.job(job_id, "a")
    assert (before.deadline_ms - before.created_ms, before.terms.deadline_s) == (60_000, 60)
    for key in (job_key(job_id), job_key(job_id, "chunks"), owner_jobs_key("a")):
        assert store.redis.pttl(key) > YEAR_MS, "nothing expires while it is paused"
    pass_ms(store, job_id, DAY_MS)
    tick(store)
    assert store.job(job_id, "a").status is JobStatus.QUEUED
    resume(store, target)
    after = store.job(job_id, "a")
    assert after.deadline_ms == pytest.approx(before.deadline_ms, abs=2000), "as long as before from now on"
    assert after.terms.deadline_s == 60
    for key in (job_key(job_id), job_key(job_id, "chunks")):
        assert store.redis.pttl(key) == pytest.approx(660_000, abs=2000)
    assert store.redis.zscore(OPEN_JOBS, job_id) == after.deadline_ms
    assert finish_all(store) == ["a"] * 3
    assert store.job(job_id, "a").status is JobStatus.SUCCEEDED
    sums = {name: int(n) for name, n in store.redis.hgetall("sentiq:counters").items() if b"job_s" in name}
    assert sums[f"job_s:{BULK}:sum".encode()] < 10_000, "the time paused is no time of the job"


def test_a_deadline_goes_on_after_the_resume(store: JobStore) -> None:
    job_id = submit(store, deadline_s=60)
    pause(store, "owner:a")
    resume(store, "owner:a")
    store.redis.hset(job_key(job_id), "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    tick(store)
    assert store.job(job_id, "a").status is JobStatus.TIMED_OUT
    require_nothing_left(store)


def test_a_job_that_is_due_before_its_deadline_could_be_stopped_is_not_expired(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that paused its owner died between the two."""
    job_id = submit(store, deadline_s=60)
    args = {"target": "owner:a", "pause": {"by": "x"}, "queues": [str(BULK)], "owner": "a"}
    store.run("pause", args)
    store.redis.hset(job_key(job_id), "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    with monkeypatch.context() as patch:
        patch.setattr("tasks.store.reconciler._SETTLE_S", -1)  # it has others to settle first
        tick(store)
    assert store.job(job_id, "a").status is JobStatus.QUEUED
    assert store.job(job_id, "a").paused_ms
    tick(store)
    assert not store.redis.exists(UNSETTLED), "the reconciler settles what a call left"


def test_of_many_paused_jobs_that_are_due_none_is_expired(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More are due than a round looks at, before their deadlines could be stopped."""
    monkeypatch.setattr("tasks.store.reconciler._SETTLE_S", -1)
    monkeypatch.setattr("tasks.store.reconciler._TICK_BATCH", 3)
    monkeypatch.setattr(pauses, "_PATIENCE_S", -1)
    jobs = [submit(store, items=1) for _ in range(9)]
    pause(store, "owner:a")
    for job_id in jobs:
        store.redis.hset(job_key(job_id), "deadline", 1)
        store.redis.zadd(OPEN_JOBS, {job_id: 1})
    for _ in range(4):
        tick(store)
    assert {store.job(job_id, "a").status for job_id in jobs} == {JobStatus.QUEUED}
    assert all(store.job(job_id, "a").paused_ms for job_id in jobs)


def test_a_round_settles_on_where_the_last_one_ended(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else those behind the first that a round looks at would never have their turn."""
    monkeypatch.setattr(pauses, "_SLICE", 1)
    jobs = [submit(store, items=1) for _ in range(300)]
    pause(store, "owner:a")
    monkeypatch.setattr(pauses, "_PATIENCE_S", -1)
    resume(store, "owner:a")
    monkeypatch.setattr(pauses, "time", SimpleNamespace(monotonic=count().__next__))
    settling = pauses.Settling(store)
    rounds = 0
    while not settling.go_on(2):  # one step, by this clock
        rounds += 1
        assert rounds < 1000
    assert rounds > 10
    assert not any(store.job(job_id, "a").paused_ms for job_id in jobs)
    assert not store.redis.exists(UNSETTLED)


def test_a_pause_that_comes_between_two_rounds_has_all_settled_anew(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_SLICE", 1)
    jobs = [submit(store, items=1) for _ in range(300)]
    monkeypatch.setattr(pauses, "_PATIENCE_S", -1)
    pause(store, "owner:a")
    settling = pauses.Settling(store)
    with monkeypatch.context() as patch:
        patch.setattr(pauses, "time", SimpleNamespace(monotonic=count().__next__))
        assert not any(settling.go_on(3) for _ in range(9))
    assert any(store.job(job_id, "a").paused_ms for job_id in jobs)
    resume(store, "owner:a")
    assert settling.go_on(60)
    assert not any(store.job(job_id, "a").paused_ms for job_id in jobs)


def test_many_jobs_are_settled_in_short_steps(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "_SLICE", 10)
    jobs = [submit(store, "ab"[i % 2], items=1) for i in range(300)]
    pause(store, "owner:a")
    assert [bool(store.job(job_id, "ab"[i % 2]).paused_ms) for i, job_id in enumerate(jobs)] == [
        True,
        False,
    ] * 150
    resume(store, "owner:a")
    assert not any(store.job(job_id, "ab"[i % 2]).paused_ms for i, job_id in enumerate(jobs))
    monkeypatch.setattr(pauses, "_PATIENCE_S", -1)
    pause(store, "class:bulk")
    assert not store.job(jobs[0], "a").paused_ms
    tick(store)
    assert all(store.job(job_id, "ab"[i % 2]).paused_ms for i, job_id in enumerate(jobs))


def test_a_deferred_job_is_paused_too_and_its_deadline_counts_from_its_time(store: JobStore) -> None:
    now = store.now_ms()
    job_id = submit(store, not_before_ms=now + HOUR_MS, deadline_s=60)
    pause(store, "owner:a")
    resume(store, "owner:a")
    assert store.job(job_id, "a").deadline_ms == now + HOUR_MS + 60_000, "the pause ended before its time"
    pause(store, "owner:a")
    store.redis.zadd(DEFERRED, {job_id: now - 1})
    assert tick(store) == [], "its time comes, and wakes nobody"
    assert counted(store) == (0, 3)
    assert leases.lease(store, CHILD, 10**9) is None
    assert resume(store, "owner:a") == [(MODEL_NAME, 3)]
    assert finish_all(store) == ["a"] * 3
    require_nothing_left(store)


@pytest.mark.parametrize("end", ["canceled", "deleted"])
def test_paused_jobs_can_be_ended(store: JobStore, end: str) -> None:
    job_id = submit(store)
    pause(store, "owner:a")
    if end == "canceled":
        assert cancel_job(store, job_id)
        assert store.job(job_id, "a").status is JobStatus.CANCELED
        assert {item.outcome for item in store.results(job_id, 0, 9).items} == {ItemError.CANCELED}
    else:
        delete_job(store, job_id, "a")
    assert counted(store) == (0, 0)
    resume(store, "owner:a")
    assert leases.lease(store, CHILD, 10**9) is None
    require_nothing_left(store)


def test_who_submits_and_deletes_while_paused_leaves_little_behind(store: JobStore) -> None:
    pause(store, "owner:a")
    kept = submit(store, items=5)
    for _ in range(200):
        delete_job(store, submit(store), "a")
    assert store.redis.zcard(pending_key(BULK, "a")) < 5 + 200
    resume(store, "owner:a")
    assert finish_all(store) == ["a"] * 5
    assert store.job(kept, "a").status is JobStatus.SUCCEEDED
    require_nothing_left(store)


def test_an_upload_grows_while_it_is_paused(store: JobStore) -> None:
    job_id, feed = store.ids.issue("a"), Feed.begin("5eed", resumable=False)
    one, two, three = ([Chunk(job_id, i, [Item.accept("好", 9)])] for i in range(3))
    terms = Terms(queue_class=BULK.queue_class, owner="a", deadline_s=60)
    store.create(job_id, terms, one, feed=feed)
    pause(store, "owner:a")
    assert uploads.append_chunks(store, two, feed, owner="a")
    assert counted(store) == (0, 2)
    assert store.redis.pttl(job_key(job_id, "chunks")) > YEAR_MS
    resume(store, "owner:a")
    assert uploads.append_chunks(store, three, feed, owner="a")
    uploads.close(store, job_id, feed=feed)
    assert counted(store) == (3, 0)
    assert finish_all(store) == ["a"] * 3
    assert store.job(job_id, "a").status is JobStatus.SUCCEEDED


def test_a_paused_model_is_not_removed_with_its_work(store: JobStore) -> None:
    models.register(store, MODEL_NAME, {})
    submit(store)
    pause(store, f"model:{MODEL_NAME}")
    assert models.retire(store, MODEL_NAME) == (3, 0)
    tick(store)
    assert MODEL_NAME in models.registered(store)
    resume(store, f"model:{MODEL_NAME}")
    assert finish_all(store) == ["a"] * 3


def measured(store: JobStore) -> None:
    """Have the queue drain 10 items of 10 code points a second."""
    rate = {"drained_items": 100, "drained_cost": 1000, "drained_s": 10, "finished_at": store.now_ms()}
    store.redis.hset(backlog_key(BULK), mapping=rate | {"learned_at": store.now_ms()})


def test_paused_work_is_admitted_like_work_for_later(store_with: Callable[..., JobStore]) -> None:
    store = store_with(quota_items=100, target_wait_bulk_s=1)
    measured(store)
    submit(store, items=10)
    pause(store, "owner:a")
    measured(store)
    submit(store, items=50, deadline_s=30)
    with pytest.raises(DeadlineTooShortError):
        submit(store, items=30, deadline_s=1)
    with pytest.raises(QuotaExceededError):
        submit(store, items=60)
    submit(store, "b", items=5)
    assert read_backlogs(store, [MODEL_NAME], "a")[BULK].accepting
    assert counted(store) == (5, 60)


def test_the_learnt_rate_is_that_of_work_that_is_not_paused(store: JobStore) -> None:
    submit(store, items=2)
    held = lease(store, budget=15)
    pause(store, "owner:a")
    measured(store)
    store.redis.hincrby(backlog_key(BULK), "learned_at", -20_000)
    rate = read_backlogs(store, [MODEL_NAME])[BULK].items_per_s
    finish(store, held)
    assert read_backlogs(store, [MODEL_NAME])[BULK].items_per_s == rate
    store.redis.hincrby(backlog_key(BULK), "learned_at", -HOUR_MS)
    store.redis.hincrby(backlog_key(BULK), "finished_at", -HOUR_MS)
    resume(store, "owner:a")
    read = read_backlogs(store, [MODEL_NAME])[BULK]
    assert read.items_per_s == rate, "an hour of pause is no stall"
    assert read.oldest_s < 5, "what was paused waits since it was resumed"


def test_what_a_child_gives_back_waits_since_it_was_resumed(store: JobStore) -> None:
    job_id = submit(store)
    for chunk in store.redis.zrange(pending_key(BULK, "a"), 0, -1):
        store.redis.zincrby(pending_key(BULK, "a"), -DAY_MS, chunk)
    pause(store, "owner:a")
    pass_ms(store, job_id, DAY_MS)
    resume(store, "owner:a")
    held = lease(store, budget=15)
    assert leases.return_chunk(store, held, held.chunks[0], leases.ReturnReason.TIME)
    assert read_backlogs(store, [MODEL_NAME])[BULK].oldest_s < 5
    again = lease(store, budget=15)
    assert again.chunks[0].ref.start == 0, "it comes before what arrived later"
    assert read_backlogs(store, [MODEL_NAME])[BULK].oldest_s < 5


def served(store: JobStore, chunks: int) -> list[str]:
    found = []
    for _ in range(chunks):
        held = lease(store, budget=10)
        found += [owner_of(store, each.ref.job_id) for each in held.chunks]
        finish(store, held)
    return found


def test_a_resumed_owner_gets_no_burst(store: JobStore) -> None:
    submit(store, "a", items=40)
    submit(store, "b", items=80)
    assert sorted(served(store, 8)) == ["a"] * 4 + ["b"] * 4
    pause(store, "owner:a")
    assert served(store, 30) == ["b"] * 30
    resume(store, "owner:a")
    after = served(store, 20)
    assert abs(after.count("a") - 10) <= 1
    assert abs(after[:6].count("a") - 3) <= 1


def test_owners_keep_their_order_while_all_are_paused(store: JobStore) -> None:
    submit(store, "a", items=20)
    submit(store, "b", items=20)
    for held in [lease(store, budget=10)]:
        finish(store, held)
    tags = dict(store.redis.zrange(turns_key(BULK), 0, -1, withscores=True))
    pause(store, "class:bulk")
    resume(store, "class:bulk")
    assert dict(store.redis.zrange(turns_key(BULK), 0, -1, withscores=True)) == tags
    assert not store.redis.exists(tags_key(BULK))


def test_the_refund_of_a_paused_owner_makes_no_turn(store: JobStore) -> None:
    submit(store, "a", items=2)
    held = lease(store, budget=10)
    pause(store, "owner:a")
    leases.return_chunk(store, held, held.chunks[0], leases.ReturnReason.TIME)
    assert not store.redis.exists(turns_key(BULK))
    assert store.redis.zcard(pending_key(BULK, "a")) == 2


def test_a_lease_looks_at_nothing_that_is_paused(store: JobStore) -> None:
    """The commands of a lease are as many with a thousand paused owners as with none."""
    submit(store, "b", items=1)
    alone = commands_of_a_lease(store)
    for i in range(50):
        submit(store, f"o{i}", items=20)
    pause(store, "class:bulk")
    submit(store, "b", items=1, queue=INTERACTIVE)
    paused = commands_of_a_lease(store)
    assert paused <= alone + 1


def commands_of_a_lease(store: JobStore) -> int:
    def calls() -> int:
        stats = store.redis.info("commandstats")
        return sum(each["calls"] for name, each in stats.items() if name != "cmdstat_info")

    before = calls()
    held = lease(store)
    spent = calls() - before
    finish(store, held)
    store.redis.delete(leases_key("worker"))
    return spent


@pytest.mark.parametrize(
    "text", ["", "class", "class:", "class:fast", "model:", "model:A b", "owner:a:b", "x:y", "owner"]
)
def test_only_a_class_a_model_or_an_owner_can_be_paused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid PauseKind|^" + re.escape(text)):
        PauseTarget.parse(text)


class PausedWorld(World):
    """The same world with an operator, who pauses and resumes at random."""

    def act(self) -> None:
        if self.rng.random() < 0.25:
            kind = self.rng.choice(["owner:anna", "owner:ben", "owner:", "model:a", "model:b", "class:bulk"])
            target = PauseTarget.parse(kind)
            if self.rng.random() < 0.5:
                pauses.pause(self.store, target, OPERATOR)
            else:
                pauses.resume(self.store, target, OPERATOR)
        super().act()

    def end(self) -> None:
        for each in pauses.read_pauses(self.store):
            pauses.resume(self.store, each.target, OPERATOR)
        super().end()


@pytest.mark.parametrize("seed", range(4))
def test_pauses_at_random_lose_nothing(store: JobStore, seed: int) -> None:
    world = PausedWorld(store, seed)
    for _ in range(150):
        world.act()
    world.end()
    for job_id, owner in world.owners.items():
        require_recount(world, job_id, owner)
    for name in ("a", "b", "c"):
        for queue in Queue.all_of(name):
            read = store.redis.hmget(backlog_key(queue), "items", "cost", "paused", "paused_cost", "deferred")
            assert {int(each or 0) for each in read} == {0}, (queue, read)
    assert not store.redis.exists(OWNERS, OPEN_JOBS)
