"""No wake-up is lost: the protocol is checked in every interleaving, and the scripts against the protocol."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.store.keys import awake_key, pending_key, published_key, ready_key, waiting_key
from tasks.store.lost_wakeups import LostWakeups
from tasks.store.needed_wakeups import Wakeups
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import MODEL_NAME
from tests.tasks.wakeup_model import Child, Rules, State, explore, steps, stuck
from tests.verdicts import rated

QUEUE = Queue(MODEL_NAME, QueueClass.BULK)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
WORKER = "host:1/2/3"
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]


def start(children: int, submits: int, faults: int = 0) -> State:
    return State(submits, faults, (Child(),) * children, ready=children)


def ends(found: dict[State, list[tuple[str, State]]]) -> list[State]:
    return [state for state, following in found.items() if not following]


@pytest.mark.parametrize(("children", "submits"), [(1, 4), (2, 5), (3, 5)])
def test_without_faults_every_chunk_is_scored_whatever_comes_first(children: int, submits: int) -> None:
    """Nothing here ends by time, and nobody looks for what waits: wake-ups alone suffice."""
    found = explore(start(children, submits), Rules())
    assert ends(found)
    assert all(state.done for state in ends(found))
    for state in found:
        woken = sum(child.does != "idle" for child in state.children)
        assert state.unpublished + state.queue + woken <= children, "never more wake-ups than children"


@pytest.mark.parametrize(
    ("children", "submits", "faults"),
    [
        (2, 2, 2),
        (3, 2, 1),
        pytest.param(2, 4, 2, marks=LONG),
        pytest.param(3, 3, 2, marks=LONG),
    ],
)
def test_whatever_breaks_every_chunk_is_scored(children: int, submits: int, faults: int) -> None:
    found = explore(start(children, submits, faults), Rules(timers=True))
    assert any("counters lost" in {name for name, _ in following} for following in found.values())
    # Only what the protocol does by itself is counted on: no fault helps.
    assert not stuck(found, may=lambda state, after: state.faults == after.faults)


@pytest.mark.parametrize(
    "defect", ["count before recording", "seen, then asleep", "no handing over", "never taken"]
)
def test_the_check_finds_a_protocol_that_loses_wakeups(defect: str) -> None:
    found = explore(start(children=2, submits=3), Rules(defect=defect))
    assert not all(state.done for state in ends(found))


@pytest.mark.parametrize("defect", ["published for ever", "dead awake"])
def test_the_check_finds_entries_that_never_end(defect: str) -> None:
    found = explore(start(children=2, submits=2, faults=2), Rules(timers=True, defect=defect))
    assert stuck(found, may=lambda state, after: state.faults == after.faults)


class Real:
    """The same steps on the real scripts."""

    def __init__(self, store: JobStore, children: int) -> None:
        self.store, self.redis = store, store.redis
        self.redis.flushdb()
        self.redis.set(ready_key(MODEL_NAME), children)
        self.unpublished = self.calls = 0
        self.wakeups = Wakeups(store, self.note)
        self.reconciler = Reconciler(store, self.note, WORKER, MODEL_NAME)
        self.pids = list(range(1, children + 1))
        self.held: dict[int, leases.Lease] = {}

    def note(self, model: str, count: int) -> None:
        assert model == MODEL_NAME
        self.unpublished += count

    def push(self, count: int = 1) -> None:
        for _ in range(count):
            self.redis.lpush(wakeup_queue(MODEL_NAME), "a message")

    def end(self, key: str, member: bytes) -> None:
        """Let the time of an entry be over."""
        self.redis.zadd(key, {member: 1})

    def holder(self, number: int) -> leases.Holder:
        return leases.Holder(WORKER, self.pids[number], siblings=1, model=MODEL_NAME)

    def step(self, name: str, number: int) -> None:
        """Do a step; `number` is that of the child."""
        getattr(self, f"do_{name.replace(', and', '').replace(' ', '_').lower()}")(number)

    def do_create(self, number: int) -> None:
        self.do_append(number)
        self.do_count(number)

    def do_append(self, _: int) -> None:
        job_id = self.store.ids.issue()
        chunk = Chunk(job_id, 0, [Item.accept("好", 9)])
        self.store.create(job_id, Terms(queue_class=QueueClass.BULK), [chunk])

    def do_count(self, _: int) -> None:
        self.calls += 1
        self.wakeups.wake(MODEL_NAME, 1, self.calls)

    def do_publish(self, _: int) -> None:
        self.unpublished -= 1
        self.push()

    def do_take(self, _: int) -> None:
        assert self.redis.rpop(wakeup_queue(MODEL_NAME))

    def do_lease(self, number: int, *, woken: bool = True) -> None:
        if held := leases.lease(self.store, self.holder(number), 0, woken=woken):
            self.held[number] = held

    def do_lease_again(self, number: int) -> None:
        self.do_lease(number, woken=False)

    def do_renew(self, number: int) -> None:
        leases.renew(self.store, self.held[number])

    def do_finish(self, number: int) -> None:
        held = self.held.pop(number)
        results = [ChunkResult(each.chunk, [rated(0.75, 5, 5)], 1) for each in held.chunks]
        assert leases.finish(self.store, held, results, MODEL) == 1

    def do_leave(self, number: int) -> None:
        known, self.calls = self.unpublished, self.calls + 1
        self.wakeups.leave(self.holder(number), self.calls)
        self.unpublished = known  # it publishes by itself: `hand over`

    def do_hand_over(self, _: int) -> None:
        self.push()

    def do_replace(self, number: int) -> None:
        dead, self.pids[number] = self.pids[number], max(self.pids) + 1
        self.reconciler._release_orphans(WORKER, {pid for pid in self.pids if pid != dead})

    def do_lost(self, _: int) -> None:
        self.end(published_key(MODEL_NAME), self.live(published_key(MODEL_NAME))[0])

    def do_awake_ends(self, number: int) -> None:
        self.end(awake_key(MODEL_NAME), f"{WORKER} {self.pids[number]}".encode())

    def do_republish(self, _: int) -> None:
        known = self.unpublished
        self.redis.zadd(waiting_key(QUEUE), {"": 1})  # for long
        LostWakeups(self.store, self.wakeups).republish(MODEL_NAME, self.store.now_ms())
        self.push(self.unpublished - known)
        self.unpublished = known

    def do_count_ready(self, _: int) -> None:
        known, self.calls = self.unpublished, self.calls + 1
        LostWakeups(self.store, self.wakeups).note_ready(MODEL_NAME, len(self.pids), self.calls)
        self.push(self.unpublished - known)
        self.unpublished = known

    def do_api_dies(self, _: int) -> None:
        self.unpublished -= 1

    def do_api_dies_early(self, _: int) -> None:
        """Chunks are recorded, and that is all."""

    def do_message_lost(self, number: int) -> None:
        self.do_take(number)

    def do_die(self, number: int) -> None:
        self.held.pop(number, None)

    def do_die_redeliver(self, number: int) -> None:
        self.do_die(number)
        self.push()

    def do_counters_lost(self, _: int) -> None:
        self.redis.delete(published_key(MODEL_NAME), awake_key(MODEL_NAME), ready_key(MODEL_NAME))

    def live(self, key: str) -> list[bytes]:
        return [member for member, until in self.redis.zrange(key, 0, -1, withscores=True) if until > 1]

    def agrees(self, state: State) -> None:
        """Check that Redis holds what the model says."""
        awake = {int(raw.rsplit(b" ", 1)[1]) for raw in self.live(awake_key(MODEL_NAME))}
        expected = {pid for pid, child in zip(self.pids, state.children, strict=True) if child.awake}
        assert awake == expected
        assert len(self.live(published_key(MODEL_NAME))) == state.published
        assert self.redis.llen(wakeup_queue(MODEL_NAME)) == state.queue
        assert self.redis.zcard(pending_key(QUEUE)) == state.waiting
        assert self.unpublished == state.unpublished
        works = {number for number, child in enumerate(state.children) if child.does == "works"}
        assert set(self.held) == works


@pytest.fixture(scope="module")
def real_store() -> Iterator[JobStore]:
    with redis_server() as url:
        store = JobStore.connect(Settings(redis_url=url, default_model=MODEL_NAME))
        yield store


@pytest.mark.parametrize("seed", range(40))
def test_the_scripts_do_what_the_protocol_says(real_store: JobStore, seed: int) -> None:
    chance = random.Random(seed)
    children = chance.choice([1, 2, 3])
    state, rules = start(children, submits=6, faults=seed % 4), Rules(timers=seed % 4 > 0)
    real = Real(real_store, children)
    for _ in range(120):
        following = list(steps(state, rules))
        if not following:
            break
        name, number, after = chance.choice(following)
        real.step(name, number)
        state = after
        real.agrees(state)
    else:
        assert rules.timers, "without timers a walk ends"


def test_a_child_is_awake_for_as_long_as_it_renews_its_lease(real_store: JobStore) -> None:
    """Else what comes in while all children score long texts would look like wake-ups that were lost."""
    real = Real(real_store, children=1)
    real.do_append(0)
    real.do_lease(0)
    (child,) = real.live(awake_key(MODEL_NAME))
    real.end(awake_key(MODEL_NAME), child)
    real.do_create(0)
    assert real.unpublished == 1, "for a child that says nothing"
    real.redis.delete(published_key(MODEL_NAME))
    real.do_renew(0)
    real.do_create(0)
    assert (real.live(awake_key(MODEL_NAME)), real.unpublished) == ([child], 1)
