"""Whose chunks a lease takes: owners by cost and weight, classes with a floor, one owner as ever.

Time is simulated: a child works on a lease for as long as its cost says, and Redis and the scripts are real.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from tasks.store import leases
from tasks.store.backlog import read_backlogs, read_lines
from tasks.store.cancel import cancel_job
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    OWNERS,
    WEIGHTS,
    backlog_key,
    job_key,
    leases_key,
    pending_key,
    shares_key,
    tags_key,
    turns_key,
    waiting_key,
)
from tasks.vocabulary.chunks import Chunk, ChunkRef, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.tasks.test_any_order import LABELS, World
from tests.verdicts import rated

BULK, INTERACTIVE = Queue(MODEL_NAME, QueueClass.BULK), Queue(MODEL_NAME, QueueClass.INTERACTIVE)
CHILD = leases.Holder("worker", 1, siblings=2, model=MODEL_NAME)
MODEL = {"id": "x", "revision": "1", "engine": "none"}
WINDOW = 128  # chunks among which a lease chooses
BUDGET = 400


@pytest.fixture
def open_store(store_with: Callable[..., JobStore]) -> JobStore:
    """A store that admits everything: what is tried is the order."""
    return store_with(quota_items=10**7, target_wait_interactive_s=10**6, target_wait_bulk_s=10**6)


def submit(store: JobStore, owner: str, costs: list[int], queue: Queue = BULK) -> str:
    """Create a job of one chunk for each cost."""
    job_id = store.ids.issue(owner)
    chunks = [
        Chunk(job_id, i, [Item.accept("字" * cost, 999)], max_tokens=10**6) for i, cost in enumerate(costs)
    ]
    store.create(job_id, Terms(model=queue.model, queue_class=queue.queue_class, owner=owner), chunks)
    return job_id


def finish(store: JobStore, held: leases.Lease) -> None:
    leases.finish(
        store, held, [ChunkResult(each.chunk, [rated(0.7, 5, 5)], 1) for each in held.chunks], MODEL
    )


def served(store: JobStore, cost: float, child: leases.Holder = CHILD) -> Counter[str]:
    """Lease and finish until so much was read; return what was read by owner and class."""
    read: Counter[str] = Counter()
    while read.total() < cost and (held := leases.lease(store, child, BUDGET)):
        for each in held.chunks:
            owner = store.redis.hget(job_key(each.ref.job_id), "owner") or b""
            read[f"{held.queue.queue_class}:{owner.decode()}"] += each.ref.cost
        finish(store, held)
    return read


def varied(rng: random.Random, count: int) -> list[int]:
    return [rng.randint(10, 100) for _ in range(count)]


def weighing(store: JobStore, weights: Mapping[str, float]) -> None:
    store.redis.hset(WEIGHTS, mapping=weights)


@pytest.mark.parametrize("weights", [[1] * 10, [1, 3], [1, 10], [0.5, 1, 2]], ids=str)
def test_owners_share_by_weight_what_is_leased(open_store: JobStore, weights: list[float]) -> None:
    rng, total = random.Random(len(weights)), 100_000
    names = [f"owner{number}" for number in range(len(weights))]
    weighing(open_store, dict(zip(names, weights, strict=True)))
    for name in rng.sample(names, len(names)):
        submit(open_store, name, varied(rng, total // 50))
    read = served(open_store, total)
    for name, weight in zip(names, weights, strict=True):
        assert read[f"bulk:{name}"] / read.total() == pytest.approx(weight / sum(weights), rel=0.05)


def test_chunks_of_ten_times_the_cost_are_no_larger_share(open_store: JobStore) -> None:
    submit(open_store, "short", [20] * 1000)
    submit(open_store, "long", [200] * 100)
    read = served(open_store, 16_000)
    assert read["bulk:short"] == pytest.approx(read["bulk:long"], rel=0.05)


def test_a_weight_changes_while_chunks_wait(open_store: JobStore) -> None:
    for name in "ab":
        submit(open_store, name, [50] * 800)
    first = served(open_store, 16_000)
    weighing(open_store, {"b": 3})
    second = served(open_store, 16_000)
    assert first["bulk:b"] / first.total() == pytest.approx(1 / 2, rel=0.05)
    assert second["bulk:b"] / second.total() == pytest.approx(3 / 4, rel=0.05)


def test_an_idle_owner_earns_no_credit(open_store: JobStore) -> None:
    submit(open_store, "idle", [50])
    submit(open_store, "busy", [50] * 2000)
    served(open_store, 40_000)
    submit(open_store, "idle", [50] * 1000)
    read = served(open_store, 10_000)
    assert read["bulk:idle"] == pytest.approx(5_000, abs=BUDGET)


def test_an_owner_who_comes_late_waits_for_little_more_than_his_own_share(open_store: JobStore) -> None:
    """100 items beside 100,000: at most twice the time that they would take alone at half the machine."""
    children = [leases.Holder("worker", pid, siblings=2, model=MODEL_NAME) for pid in (1, 2)]
    a_child_s = 2 * BUDGET  # a lease is half a second of work
    submit(open_store, "large", [64] * 1563)
    small = [64, 36]
    clock = [(0.0, 0), (0.1, 1)]
    held: dict[int, leases.Lease] = {}
    came_at, job_id, now = 5.0, "", 0.0
    while not job_id or not open_store.job(job_id, "small").status.terminal:
        now, number = heapq.heappop(clock)
        if number in held:
            finish(open_store, held.pop(number))
        if now >= came_at and not job_id:
            job_id, came_at = submit(open_store, "small", small), now
        leased = leases.lease(open_store, children[number], BUDGET)
        assert leased is not None
        held[number] = leased
        heapq.heappush(clock, (now + sum(ref.cost for ref in leased.refs) / a_child_s, number))
    alone_s = max(sum(small) / a_child_s, 0.5)  # never faster than a lease
    assert now - came_at <= 2 * alone_s


@pytest.mark.parametrize("floor", [0.1, 0.25])
def test_bulk_keeps_its_floor_while_interactive_is_full(
    store_with: Callable[..., JobStore], floor: float
) -> None:
    store = store_with(target_wait_interactive_s=10**6, bulk_floor=floor)
    rng = random.Random(1)
    submit(store, "a", varied(rng, 900), INTERACTIVE)
    submit(store, "b", varied(rng, 900))
    read = served(store, 40_000)
    assert read["bulk:b"] / read.total() == pytest.approx(floor, rel=0.1)
    assert read["interactive:a"] + read["bulk:b"] == read.total()


def test_without_a_floor_bulk_waits_for_all_interactive_work(store_with: Callable[..., JobStore]) -> None:
    store = store_with(bulk_floor=0)
    submit(store, "b", [50] * 100)
    submit(store, "a", [50] * 100, INTERACTIVE)
    assert served(store, 4_800) == {"interactive:a": 4_800}


def test_nothing_is_owed_to_bulk_for_times_when_it_did_not_wait(open_store: JobStore) -> None:
    submit(open_store, "a", [50] * 400, INTERACTIVE)
    served(open_store, 8_000)
    submit(open_store, "b", [50] * 400)
    assert served(open_store, 3_200) == {"interactive:a": 3_200}
    served(open_store, 12_000)
    assert not open_store.redis.exists(waiting_key(INTERACTIVE))
    submit(open_store, "a", [50] * 100, INTERACTIVE)
    assert served(open_store, 3_200) == {"interactive:a": 3_200}, "nor was it charged for what was idle"


def former_order(store: JobStore, budget: int, siblings: int) -> list[str]:
    """Return the refs that a lease took before owners had turns, where all work is of one owner.

    Then, canceled chunks in the window made it smaller, until they had been dropped.
    """
    for queue in (INTERACTIVE, BULK):
        waiting = [
            (ref, str(ref))
            for ref in map(ChunkRef.parse, store.redis.zrange(pending_key(queue, "a"), 0, -1))
            if not store.redis.hexists(job_key(ref.job_id), "cancel")
            and store.redis.hexists(job_key(ref.job_id, "chunks"), ref.start)
        ][:WINDOW]
        if waiting:
            cost = sum(ref.cost for ref, _ in waiting)
            smallest = min(budget, store.settings.chunk_chars)
            return _filled(waiting, min(budget, max(smallest, cost / (2 * siblings))))
    return []


def _filled(waiting: list[tuple[ChunkRef, str]], budget: float) -> list[str]:
    taken: list[str] = []
    spent = 0
    for ref, text in waiting:
        alone = ref.attempts > 0 or ref.returns >= 2
        if not taken or (not alone and spent + ref.cost <= budget):
            taken.append(text)
            spent += ref.cost
            if alone:
                break
        elif not alone:
            break
    return taken


@pytest.mark.parametrize("seed", range(3))
def test_one_owner_is_served_as_if_there_were_no_turns(
    store_with: Callable[..., JobStore], seed: int
) -> None:
    store = store_with(
        quota_items=10**7,
        target_wait_interactive_s=10**6,
        target_wait_bulk_s=10**6,
        bulk_floor=0,
        chunk_chars=150,
    )
    rng, jobs, compared = random.Random(seed), [], 0
    for _ in range(120):
        event = rng.random()
        if event < 0.35:
            costs = [rng.choice([0, *range(10, 200)]) for _ in range(rng.choice([1, 5, 30, 150]))]
            jobs.append(submit(store, "a", costs, rng.choice([BULK, INTERACTIVE])))
        elif event < 0.42 and jobs:
            cancel_job(store, rng.choice(jobs), patience_s=0)
        else:
            budget, siblings = rng.choice([0, 100, 1000, 20_000]), rng.choice([1, 2, 4])
            expected = [
                str(ChunkRef(ref.job_id, ref.start, ref.cost, ref.attempts + 1, ref.returns))
                for ref in map(
                    ChunkRef.parse, (text.encode() for text in former_order(store, budget, siblings))
                )
            ]
            held = leases.lease(store, leases.Holder("worker", 1, siblings, MODEL_NAME), budget)
            assert (list(map(str, held.refs)) if held else []) == expected
            compared += len(expected)
            for each in held.chunks if held else []:
                assert held is not None
                if rng.random() < 0.3:
                    reason, split = rng.choice(list(leases.ReturnReason)), rng.random() < 0.3
                    leases.return_chunk(store, held, each, reason, split=split)
            if held:
                finish(store, held)
    assert compared > 150


def places(store: JobStore, queue: Queue = BULK) -> dict[bytes, float]:
    return dict(store.redis.zrange(turns_key(queue), 0, -1, withscores=True))


def test_what_is_handed_back_is_refunded_and_goes_first_in_its_line(open_store: JobStore) -> None:
    first = submit(open_store, "a", [100] * 8)
    submit(open_store, "b", [100] * 8)
    before = places(open_store)
    held = leases.lease(open_store, CHILD, BUDGET)
    assert held is not None
    assert {ref.job_id for ref in held.refs} == {first}
    assert places(open_store)[b"a"] == before[b"a"] + 400
    for each in held.chunks:
        for _ in range(2):  # the answer may have been lost
            leases.return_chunk(open_store, held, each, leases.ReturnReason.TIME)
    assert places(open_store) == before
    again = leases.lease(open_store, CHILD, BUDGET)
    assert again is not None
    assert [(ref.job_id, ref.start) for ref in again.refs] == [(first, start) for start in range(4)]


def test_the_last_chunks_of_an_owner_are_refunded_too(open_store: JobStore) -> None:
    weighing(open_store, {"a": 2})
    submit(open_store, "a", [100] * 2)
    submit(open_store, "b", [100] * 8)
    held = leases.lease(open_store, CHILD, 200)
    assert held is not None
    assert open_store.redis.zscore(tags_key(BULK), "a") == 100
    for each in held.chunks:
        leases.return_chunk(open_store, held, each, leases.ReturnReason.SICK)
    assert places(open_store)[b"a"] == 0
    assert not open_store.redis.exists(tags_key(BULK))


def test_a_lease_whose_answer_was_lost_is_charged_once(open_store: JobStore) -> None:
    submit(open_store, "a", [100] * 8)
    held = leases.lease(open_store, CHILD, BUDGET)
    charged = places(open_store)
    assert leases.lease(open_store, CHILD, BUDGET) == held
    assert places(open_store) == charged == {b"a": 400}


def test_jobs_that_an_earlier_version_accepted_are_leased_in_turn(open_store: JobStore) -> None:
    """It kept no turns: its owners get them, and those whose work it finished lose theirs."""
    jobs = {owner: submit(open_store, owner, [100] * 8) for owner in "abc"}
    served(open_store, 1_200)
    open_store.redis.delete(turns_key(BULK), tags_key(BULK), pending_key(BULK, "c"))
    open_store.redis.zrem(waiting_key(BULK), "c")
    open_store.redis.hdel(backlog_key(BULK), "virtual")
    open_store.redis.zadd(turns_key(BULK), {"c": 0})
    assert served(open_store, 10**6) == {"bulk:a": 400, "bulk:b": 400}
    assert all(open_store.job(jobs[owner], owner).status.terminal for owner in "ab")
    assert not open_store.redis.exists(turns_key(BULK), waiting_key(BULK))


def require_index(store: JobStore, queue: Queue) -> None:
    """Check that exactly those have a turn that have something waiting, each by its oldest chunk."""
    oldest = dict(store.redis.zrange(waiting_key(queue), 0, -1, withscores=True))
    prefix = pending_key(queue).encode()
    pending = {key.removeprefix(prefix): key for key in store.redis.scan_iter(prefix + b"*")}
    assert set(places(store, queue)) == set(oldest) == set(pending)
    for owner, key in pending.items():
        assert store.redis.zrange(key, 0, 0, withscores=True)[0][1] == oldest[owner]
    idle = dict(store.redis.zrange(tags_key(queue), 0, -1, withscores=True))
    assert not idle.keys() & oldest.keys()


def require_sums(store: JobStore, queues: list[Queue]) -> None:
    """Check that the lines of all owners add up to the backlogs, which metrics and `GET /v1/queue` show."""
    backlogs, lines = read_backlogs(store, LABELS), read_lines(store, queues)
    for queue in queues:
        assert sum(lines[queue].items.values()) == backlogs[queue].items
        cost = int(store.redis.hget(backlog_key(queue), "cost") or 0)
        load = sum(map(int, store.redis.hvals(shares_key(queue))))
        assert load == 16 * backlogs[queue].items + cost
        assert lines[queue].items.keys() >= lines[queue].left.keys()
    open_items = sum(map(int, store.redis.hvals(OWNERS)))
    assert open_items == sum(backlog.items + backlog.deferred for backlog in backlogs.values())


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 12))]
)
def test_the_index_is_exact_whatever_happens(store_with: Callable[..., JobStore], seed: int) -> None:
    """Jobs, uploads, leases, returns, deaths, cancels, deletes and deadlines in any order."""
    store = store_with(quota_items=10**6, target_wait_interactive_s=10**6, target_wait_bulk_s=10**6)
    world = World(store, seed)
    queues = [queue for name in LABELS for queue in Queue.all_of(name)]
    for _ in range(100):
        world.act()
        for queue in queues:
            require_index(store, queue)
        require_sums(store, queues)
    world.end()
    for queue in queues:
        require_index(store, queue)
    require_sums(store, queues)


class Model:
    """Start-time fair queueing as the books have it, one chunk a lease."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._lines: dict[str, list[tuple[str, int]]] = {}
        self._tags: dict[str, float] = {}
        self._virtual = 0.0

    def submit(self, owner: str, job_id: str, costs: list[int]) -> None:
        if not self._lines.get(owner):
            self._tags[owner] = max(self._virtual, self._tags.get(owner, 0))
        self._lines.setdefault(owner, []).extend((f"{job_id}/{i}", cost) for i, cost in enumerate(costs))

    def lease(self) -> str | None:
        waiting = [owner for owner, line in self._lines.items() if line]
        if not waiting:
            return None
        owner = min(waiting, key=lambda each: (round(self._tags[each], 3), each))
        self._virtual = max(self._virtual, self._tags[owner])
        chunk, cost = self._lines[owner].pop(0)
        self._tags[owner] += max(16, cost) / self._weights.get(owner, 1)
        return chunk


@pytest.mark.parametrize("seed", range(3))
def test_the_order_is_that_of_start_time_fair_queueing(open_store: JobStore, seed: int) -> None:
    rng, owners = random.Random(seed), ["", *"abcdef"]
    weights = {owner: rng.choice([0.5, 2, 4, 10]) for owner in "abc"}
    weighing(open_store, weights)
    model = Model(weights)
    for _ in range(250):
        if rng.random() < 0.2:
            owner, costs = rng.choice(owners), varied(rng, rng.randint(1, 8))
            model.submit(owner, submit(open_store, owner, costs), costs)
        held = leases.lease(open_store, CHILD, 0)
        leased = [f"{ref.job_id}/{ref.start}" for ref in held.refs] if held else [None]
        assert leased == [model.lease()]
        if held:
            finish(open_store, held)
    assert not open_store.redis.exists(leases_key(CHILD.worker))
