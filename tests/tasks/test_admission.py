"""Who may still come in, decided and counted by the job store in one step with the creation of the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest

from tasks.errors import (
    DeadlineTooShortError,
    QuotaExceededError,
    RefusedError,
    ServiceFullError,
    StoreFullError,
)
from tasks.store import leases
from tasks.store.backlog import Backlog, read_backlogs, read_lines
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    COUNTERS,
    OPEN_JOBS,
    OWNERS,
    WEIGHTS,
    backlog_key,
    job_key,
    lines_key,
    reserved_key,
    shares_key,
    waiting_key,
)
from tasks.store.reconciler import Reconciler
from tasks.store.uploads import append_chunks
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

CLASS = QueueClass.INTERACTIVE
QUEUE = Queue(MODEL_NAME, CLASS)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
CHARS = 10
SCORED = rated(0.75, 5, 5)


def submit(
    store: JobStore, items: int = 1, owner: str = "", text: str = "十个字的文本十个字哦", queue: Queue = QUEUE
) -> str:
    """Create a job with a chunk for each item."""
    job_id = store.ids.issue(owner)
    chunks = [Chunk(job_id, i, [Item.accept(text, 99)]) for i in range(items)]
    terms = Terms(model=queue.model, queue_class=queue.queue_class, owner=owner)
    store.create(job_id, terms, chunks)
    return job_id


def admitted(store: JobStore, text: str, items: int = 1) -> bool:
    try:
        submit(store, items, text=text)
    except RefusedError:
        return False
    return True


def score(
    store: JobStore,
    chunks: int,
    outcome: Outcome = SCORED,
    counters: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Finish so many chunks as a child does."""
    held = leases.lease(store, CHILD, chunks * CHARS)
    assert held is not None
    results = [ChunkResult(leased.chunk, [outcome] * len(leased.chunk.items), 1) for leased in held.chunks]
    leases.finish(store, held, results, MODEL, counters)


def after_a_second(store: JobStore) -> None:
    """Have the class learn as if a second had gone by since it last did."""
    store.redis.hset(backlog_key(QUEUE), "learned_at", store.now_ms() - 1000)


def waiting(store: JobStore) -> Backlog:
    return read_backlogs(store, [MODEL_NAME])[QUEUE]


def drains(store: JobStore, items_per_s: float, items: int, chars: int = CHARS) -> None:
    """Set the drain rate and the backlog of the queue, in place of what this machine would reach."""
    fields = {
        "items": items,
        "cost": items * chars,
        "finished_at": store.now_ms(),
        "learned_at": store.now_ms(),
        "drained_items": items_per_s * 10,
        "drained_cost": items_per_s * chars * 10,
        "drained_s": 10,
    }
    store.redis.hset(backlog_key(QUEUE), mapping=fields)


def test_what_waits_is_counted_until_it_is_done_however_it_ends(store: JobStore) -> None:
    submit(store, 3, owner="a")
    submit(store, 2, owner="b")
    assert waiting(store).items == 5
    score(store, 2)
    assert (waiting(store).items, waiting(store).left) == (3, 2)
    assert sum(map(int, store.redis.hvals(OWNERS))) == 3
    score(store, 10)
    assert (waiting(store).items, waiting(store).left) == (0, 5)
    assert store.redis.hget(backlog_key(QUEUE), "cost") == b"0"
    assert not store.redis.exists(OWNERS)


@pytest.mark.parametrize("end", ["canceled", "deleted"])
def test_what_is_canceled_or_deleted_waits_no_more(store: JobStore, end: str) -> None:
    job_id = submit(store, 5, owner="a")
    score(store, 2)
    if end == "canceled":
        assert cancel_job(store, job_id)
    else:
        delete_job(store, job_id, "a")
    assert (waiting(store).items, waiting(store).left) == (0, 5)
    assert store.redis.hget(backlog_key(QUEUE), "cost") == b"0"
    assert not store.redis.exists(OWNERS)


def test_a_job_counts_as_it_grows(store: JobStore) -> None:
    job_id, feed = store.ids.issue("a"), Feed.begin("5eed", resumable=False)
    first, second = ([Chunk(job_id, start, [Item.accept("好", 9)] * 2)] for start in (0, 2))
    store.create(job_id, Terms(queue_class=CLASS, owner="a"), first, feed=feed)
    append_chunks(store, second, feed)
    assert waiting(store).items == 4
    assert store.redis.hget(OWNERS, "a") == b"4"
    assert store.job(job_id, "a").place == 0


def test_texts_that_cost_nothing_are_counted_too(store: JobStore) -> None:
    submit(store, 2, text=" ")
    score(store, 10)
    assert waiting(store).items == 0


def test_a_job_that_is_recorded_twice_is_counted_once(store: JobStore) -> None:
    job_id = store.ids.issue()
    chunks = [Chunk(job_id, 0, [Item.accept("好", 9)])]
    store.create(job_id, Terms(queue_class=CLASS), chunks)
    store.create(job_id, Terms(queue_class=CLASS), chunks)
    assert waiting(store).items == 1


def test_the_rate_is_what_children_finish_while_more_waits(store: JobStore) -> None:
    submit(store, 400)
    assert waiting(store).items_per_s is None
    started = store.now_ms()
    done = 0
    while store.now_ms() - started < 1000:
        score(store, 2)
        done += 2
        then = store.now_ms()
        eventually(lambda then=then: store.now_ms() >= then + 20)  # type: ignore[misc]
    seen = waiting(store)
    assert seen.items_per_s == pytest.approx(1000 * done / (store.now_ms() - started), rel=0.2)
    assert seen.wait_s == pytest.approx(seen.items / (seen.items_per_s or 1), rel=0.01)


@pytest.mark.parametrize(
    "outcome", [ItemError.EMPTY_TEXT, ItemError.INFERENCE_FAILED, rated(0.75, 5, 5, cached=True)]
)
def test_only_what_was_computed_teaches_a_rate(store: JobStore, outcome: Outcome) -> None:
    submit(store, 400)
    for _ in range(3):
        after_a_second(store)
        score(store, 100, outcome)
    assert waiting(store).items_per_s is None
    after_a_second(store)
    score(store, 50, counters={"batch_tokens:sum": 600, "batch_rows:sum": 50})
    score(store, 50, outcome)
    assert 10 < (waiting(store).items_per_s or 0) <= 60


def test_the_rate_is_of_what_the_model_read_and_not_of_what_it_was_priced(store: JobStore) -> None:
    submit(store, 400)
    after_a_second(store)
    score(store, 100, counters={"batch_tokens:sum": 400, "batch_rows:sum": 100})
    seen = waiting(store)
    assert seen.items_per_s is not None
    assert seen.wait_s is not None
    assert seen.wait_s * seen.items_per_s == pytest.approx(300 * CHARS / 2, rel=0.02), (
        "two code points of each were read"
    )


def test_a_quiet_service_learns_no_rate_from_how_little_it_is_asked(store: JobStore) -> None:
    started = store.now_ms()
    while store.now_ms() - started < 1000:
        submit(store)
        score(store, 1)
    assert waiting(store).items_per_s is None


def test_as_long_as_no_rate_is_known_a_short_queue_is_accepted(store_with: Callable[..., JobStore]) -> None:
    store = store_with(assumed_items_per_s=1, target_wait_interactive_s=10)
    submit(store, 8)
    submit(store, 2)
    with pytest.raises(ServiceFullError) as refusal:
        submit(store)
    assert refusal.value.retry_after_s > 0
    assert waiting(store).items == 10, "what was refused is not counted"


def test_an_idle_class_accepts_whatever_its_rate(store: JobStore) -> None:
    drains(store, items_per_s=0.001, items=0)
    submit(store, 32)
    with pytest.raises(ServiceFullError):
        submit(store)


def test_a_class_accepts_what_it_drains_in_its_target_wait(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=5, lease_work_s=1)
    drains(store, items_per_s=10, items=30)
    submit(store, 10)
    assert waiting(store).accepting is False
    with pytest.raises(ServiceFullError):
        submit(store)
    store.redis.delete(reserved_key(QUEUE))
    drains(store, items_per_s=20, items=40)
    assert waiting(store).accepting is True
    submit(store)


def test_long_texts_count_for_more(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=5, lease_work_s=1)
    drains(store, items_per_s=10, items=10)
    assert admitted(store, "短", items=10)
    assert not admitted(store, "长" * 99, items=10)


def test_classes_are_admitted_by_themselves(store: JobStore) -> None:
    drains(store, items_per_s=1, items=100)
    with pytest.raises(ServiceFullError):
        submit(store)
    job_id = store.ids.issue()
    store.create(job_id, Terms(queue_class=QueueClass.BULK), [Chunk(job_id, 0, [Item.accept("好", 9)])])


def test_a_stalled_class_forgets_its_rate(store: JobStore) -> None:
    drains(store, items_per_s=1, items=100)
    store.redis.hset(backlog_key(QUEUE), "finished_at", store.now_ms() - 31_000)
    assert waiting(store).items_per_s is None
    submit(store)


def test_a_refusal_promises_room_which_others_do_not_take(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=195)
    waits = []
    for text in ("甲", "乙"):
        with pytest.raises(ServiceFullError) as refusal:
            submit(store, 20, text=text)
        waits.append(refusal.value.retry_after_s)
    first, second = waits
    assert second == pytest.approx(first + 20 / 100 / 0.8, abs=0.05), "one after the other"
    with pytest.raises(ServiceFullError) as early:
        submit(store, 20, text="甲")
    assert early.value.retry_after_s <= first, "whoever asks again early keeps his turn"
    then = store.now_ms()
    eventually(lambda: store.now_ms() >= then + 1000 * first)
    drains(store, items_per_s=100, items=150)
    assert not admitted(store, "丙", items=20), "there is room, but it is promised"
    assert admitted(store, "甲", items=20)
    drains(store, items_per_s=100, items=50)
    assert admitted(store, "丁", items=20), "what the promised leave over is for all"


@pytest.mark.parametrize("other", [Queue("another", CLASS), Queue(MODEL_NAME, QueueClass.BULK)])
def test_room_is_promised_in_one_queue_whatever_others_do_with_the_same_texts(
    store_with: Callable[..., JobStore], other: Queue
) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=195)
    with pytest.raises(ServiceFullError) as refusal:
        submit(store, 20)
    submit(store, 20, queue=other)
    with pytest.raises(ServiceFullError) as early:
        submit(store, 20)
    assert early.value.retry_after_s <= refusal.value.retry_after_s, "the turn is kept"


def test_a_quota_is_of_open_items_and_of_one_owner(store_with: Callable[..., JobStore]) -> None:
    store = store_with(quota_items=5)
    submit(store, 5, owner="a")
    with pytest.raises(QuotaExceededError) as refusal:
        submit(store, 1, owner="a")
    assert refusal.value.retry_after_s > 0
    submit(store, 5, owner="b")
    submit(store, 9)
    while waiting(store).items:
        score(store, 99)
    submit(store, 2, owner="a")


def holds(store: JobStore, owner: str, items: int) -> None:
    """Set what an owner has in the queue, beside what others have."""
    store.redis.hset(shares_key(QUEUE), owner, items * (16 + CHARS))
    store.redis.hset(lines_key(QUEUE), f"items:{owner}", items)


def test_an_owner_is_admitted_by_his_own_backlog_and_share(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=1100)
    holds(store, "a", 1000)
    holds(store, "b", 90)
    holds(store, "c", 10)
    with pytest.raises(ServiceFullError):
        submit(store, 1, owner="a")
    with pytest.raises(ServiceFullError):
        submit(store, 1, owner="b")
    submit(store, 50, owner="c")
    with pytest.raises(ServiceFullError):
        submit(store, 10, owner="c", text="十个字的文本十个字，他")
    submit(store, 40, owner="d")
    assert read_backlogs(store, [MODEL_NAME], "e")[QUEUE].accepting
    assert not read_backlogs(store, [MODEL_NAME], "a")[QUEUE].accepting


def test_a_weight_is_a_larger_share_of_admission(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=1100)
    holds(store, "a", 1000)
    holds(store, "b", 100)
    with pytest.raises(ServiceFullError):
        submit(store, 30, owner="b")
    store.redis.hset(WEIGHTS, "b", 3)
    store.redis.delete(reserved_key(QUEUE))
    submit(store, 30, owner="b", text="十个字的文本十个字，我")
    store.redis.hset(WEIGHTS, "unknown", 99)
    submit(store, 1, owner="b")
    store.redis.hset(WEIGHTS, "a", 99)
    with pytest.raises(ServiceFullError):
        submit(store, 1, owner="b")


def test_little_work_of_others_takes_no_half_of_the_queue(store_with: Callable[..., JobStore]) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=131)
    holds(store, "a", 130)
    holds(store, "b", 1)
    submit(store, 50, owner="a")
    with pytest.raises(ServiceFullError):
        submit(store, 20, owner="a")


def test_without_a_rate_each_owner_has_a_share_of_what_is_assumed(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(assumed_items_per_s=2, target_wait_interactive_s=10)
    submit(store, 20, owner="a")
    with pytest.raises(ServiceFullError):
        submit(store, 1, owner="a")
    submit(store, 10, owner="b")
    with pytest.raises(ServiceFullError):
        submit(store, 1, owner="b")


def test_room_that_is_reserved_for_one_owner_is_not_taken_from_another(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(store, items_per_s=100, items=180)
    holds(store, "a", 180)
    for number in range(30):
        with pytest.raises(ServiceFullError) as refusal:
            submit(store, 20, owner="a", text=f"第{number:09}")
    assert refusal.value.retry_after_s > 5, "its own requests come one after the other"
    assert store.redis.zscore(reserved_key(QUEUE), "a") > store.now_ms() + 5000
    submit(store, 80, owner="b")
    with pytest.raises(ServiceFullError) as refusal:
        submit(store, 30, owner="b")
    assert refusal.value.retry_after_s < 2
    assert 0 < store.redis.pttl(reserved_key(QUEUE)) < 60_000, "reservations end by themselves"


@pytest.mark.parametrize("end", ["scored", "canceled", "deleted"])
def test_what_an_owner_has_in_a_queue_is_counted_until_it_is_done(store: JobStore, end: str) -> None:
    job_id = submit(store, 50, owner="a")
    later = submit(store, 5, owner="a")
    submit(store, 7, owner="b")
    lines = read_lines(store, [QUEUE])[QUEUE]
    assert (lines.items, lines.left) == ({"a": 55, "b": 7}, {})
    assert [store.job(each, "a").place for each in (job_id, later)] == [0, 50]
    if end == "scored":
        while store.redis.hget(lines_key(QUEUE), "items:a") != b"5":
            score(store, 1)
    elif end == "canceled":
        assert cancel_job(store, job_id)
    else:
        delete_job(store, job_id, "a")
    lines = read_lines(store, [QUEUE])[QUEUE]
    assert (lines.items["a"], lines.left["a"]) == (5, 50)
    assert sum(lines.items.values()) == waiting(store).items
    while store.redis.exists(waiting_key(QUEUE)):
        score(store, 99)
    assert not store.redis.exists(shares_key(QUEUE), lines_key(QUEUE))


@pytest.mark.parametrize("owners", [3, 60])
def test_a_share_costs_the_shorter_list_of_weights_and_owners(store: JobStore, owners: int) -> None:
    drains(store, items_per_s=100, items=100)
    for number in range(owners):
        holds(store, f"o{number}", 1)
    idle = {f"idle{number}": 2 for number in range(40)}
    store.redis.hset(WEIGHTS, mapping=idle | {"o0": 3, "a": 0.5})
    store.redis.config_resetstat()
    submit(store, 1, owner="a")
    looked = store.redis.info("commandstats")["cmdstat_hexists"]["calls"]
    assert looked < min(owners, len(idle)) + 20
    share = read_lines(store, [QUEUE])[QUEUE].share("a")
    assert share == pytest.approx(0.5 / (owners + 2 + 0.5))


def test_what_an_earlier_version_recorded_leaves_no_line(store: JobStore) -> None:
    """It knew no lines, so that what leaves was never in one."""
    old = submit(store, 9, owner="a")
    store.redis.hdel(job_key(old), "place")
    store.redis.hset(job_key(old), mapping={"ticket": 0, "format": 2})
    store.redis.delete(lines_key(QUEUE))
    submit(store, 5, owner="a")
    delete_job(store, old, "a")
    assert read_lines(store, [QUEUE])[QUEUE].items == {"a": 5}
    assert waiting(store).items == 5
    score(store, 99)
    assert not store.redis.exists(shares_key(QUEUE), lines_key(QUEUE))


def timed(store: JobStore, deadline_s: int | None, *, owner: str = "", items: int = 100) -> None:
    job_id = store.ids.issue(owner)
    chunks = [Chunk(job_id, i, [Item.accept("十个字的文本十个字哦", 99)]) for i in range(items)]
    store.create(job_id, Terms(queue_class=CLASS, owner=owner, deadline_s=deadline_s), chunks)


def test_a_deadline_that_a_share_cannot_meet_is_refused_with_one_that_it_can(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(target_wait_interactive_s=60, lease_work_s=0.1)
    drains(store, items_per_s=100, items=1000)
    holds(store, "a", 1000)
    holds(store, "b", 0)
    with pytest.raises(DeadlineTooShortError) as refusal:
        timed(store, 10, owner="a")
    assert refusal.value.feasible_s == 12, "eleven seconds and the lag of a lease"
    assert refusal.value.retry_after_s == 2
    with pytest.raises(DeadlineTooShortError) as refusal:
        timed(store, 2, owner="b")
    assert refusal.value.feasible_s == 3, "half of the rate"
    timed(store, 3, owner="b")
    timed(store, None, owner="b")
    assert store.redis.hget(COUNTERS, "refused:deadline_too_short") == b"2"


def test_a_deadline_is_not_judged_while_no_rate_is_known_nor_for_an_upload(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(target_wait_interactive_s=60)
    timed(store, 1)
    drains(store, items_per_s=1, items=10)
    with pytest.raises(DeadlineTooShortError):
        timed(store, 1, items=1)
    job_id = store.ids.issue()
    chunks = [Chunk(job_id, 0, [Item.accept("好", 9)])]
    feed = Feed.begin("5eed", resumable=False)
    store.create(job_id, Terms(queue_class=CLASS, deadline_s=1), chunks, feed=feed)


def test_an_old_rate_of_an_idle_queue_refuses_no_deadline(store_with: Callable[..., JobStore]) -> None:
    """Else who always gives a deadline would be refused for ever by a rate that nobody measures again."""
    store = store_with(target_wait_interactive_s=60)
    drains(store, items_per_s=0.1, items=0)
    with pytest.raises(DeadlineTooShortError):
        timed(store, 5, items=1)
    store.redis.hset(backlog_key(QUEUE), "finished_at", store.now_ms() - 30_000)
    timed(store, 5, items=1)


def test_an_upload_whose_line_begins_anew_has_its_first_place(store: JobStore) -> None:
    submit(store, 3, owner="a")
    feed, job_id = Feed.begin("5eed", resumable=True), store.ids.issue("a")
    first = [Chunk(job_id, 0, [Item.accept("好", 9)])]
    job = store.create(job_id, Terms(queue_class=CLASS, owner="a"), first, feed=feed)
    assert job.place == 3
    while store.redis.exists(waiting_key(QUEUE)):
        score(store, 99)
    more = [Chunk(job_id, 1, [Item.accept("好", 9)])]
    assert append_chunks(store, more, feed, owner="a")
    assert store.job(job_id, "a").place == 0


def test_without_a_rate_what_is_accepted_is_limited_by_cost_too(store_with: Callable[..., JobStore]) -> None:
    store = store_with(assumed_items_per_s=1, target_wait_interactive_s=10)
    submit(store, 1)
    with pytest.raises(ServiceFullError):
        submit(store, 9, text="长" * 99)
    submit(store, 9)


def test_a_store_that_is_nearly_full_refuses_before_writes_fail(store: JobStore) -> None:
    submit(store)
    # Beside this, what a server takes for itself, such as for the scripts it has not met before, is little.
    store.redis.set("filler", "x" * 20_000_000)
    used = store.redis.info("memory")["used_memory"]
    store.redis.config_set("maxmemory", int(used * 1.05))
    store.headroom._checked_at = -1
    with pytest.raises(StoreFullError):
        submit(store)
    score(store, 1)
    assert waiting(store).items == 0, "what was accepted is finished all the same"
    store.redis.config_set("maxmemory", used * 10)
    store.headroom._checked_at = -1
    submit(store)


def test_counts_that_a_lost_record_left_wrong_are_settled_when_nothing_is_open(store: JobStore) -> None:
    reconciler = Reconciler(store, lambda *_: None, "worker", MODEL_NAME)
    submit(store, 3, owner="a")
    reconciler.tick(alive=[])
    assert waiting(store).items == 3
    store.redis.delete(OPEN_JOBS)
    reconciler.tick(alive=[])
    assert waiting(store).items == 0
    assert not store.redis.exists(OWNERS)


def test_the_request_that_brought_a_chunk_is_known_to_whoever_leases_it(store: JobStore) -> None:
    for request_id in ("request-1", ""):
        job_id = store.ids.issue()
        chunks = [Chunk(job_id, 0, [Item.accept("好", 9)])]
        store.create(job_id, Terms(queue_class=CLASS, request_id=request_id), chunks)
    held = leases.lease(store, CHILD, 10**9)
    assert held is not None
    assert sorted(leased.request_id for leased in held.chunks) == ["", "request-1"]
