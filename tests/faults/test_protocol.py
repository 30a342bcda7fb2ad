"""The life of a chunk against a model of it: what each lease may write, and what nobody may change any more.

hypothesis chooses the steps, and shortens what fails. The store is the real one, and so is its Redis.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.redis_server import redis_server
from tasks.errors import JobDeletedError, LeaseCanceledError, LeaseLostError, NothingToRetryError
from tasks.settings import Settings
from tasks.store import cancel, leases, pauses
from tasks.store.audit import Author
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, OPEN_JOBS, RECONCILER, job_key, leased_key
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retry_terms, retryable_items
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.pauses import PauseTarget
from tasks.vocabulary.verdicts import Verdict

MODEL_NAME, WORKER = "model", "worker"
MODEL = {"id": MODEL_NAME, "revision": "1", "engine": "none"}
CHILDREN = {pid: leases.Holder(WORKER, pid, 2, MODEL_NAME) for pid in (1, 2, 3)}
QUEUE = Queue(MODEL_NAME, QueueClass.BULK)
MAX_ATTEMPTS = 3
# Each holds up all that there is.
TARGETS = ["class:bulk", f"model:{MODEL_NAME}", "owner:"]
OPERATOR = Author("operator")
# What ends an item: the fencing token of the lease whose verdict it has, or an error.
Ending = int | ItemError
Place = tuple[str, int]  # a job and the index of an item


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as url:
        yield url


class Chunks(RuleBasedStateMachine):
    """Children, callers and crashes in any order. `url` is that of a Redis of its own."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        read = Settings(redis_url=self.url, default_model=MODEL_NAME, max_attempts=MAX_ATTEMPTS)
        self.store = JobStore.connect(read)
        self.store.redis.flushall()
        self.store.labels.record(f"{MODEL_NAME}@1", NEGATIVE_POSITIVE)
        self.sizes: dict[str, int] = {}
        self.ended: dict[Place, Ending] = {}
        self.holder: dict[Place, tuple[int, int]] = {}  # pid and token
        self.attempts: dict[Place, int] = {}
        self.held: list[tuple[int, leases.Lease]] = []  # every lease that was ever given
        self.admitted = 0
        self.paused: set[str] = set()

    @rule(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), twice=st.booleans())
    def create(self, sizes: list[int], twice: bool) -> None:  # noqa: FBT001  hypothesis names arguments
        job_id, chunks, start = self.store.ids.issue(""), [], 0
        for size in sizes:
            chunks.append(Chunk(job_id, start, [Item.accept("好", 9)] * size))
            start += size
        for _ in range(1 + twice):
            self.store.create(job_id, Terms(queue_class=QueueClass.BULK), chunks)
        self.sizes[job_id] = start
        self.admitted += start

    @rule(pid=st.sampled_from(sorted(CHILDREN)), budget=st.sampled_from([0, 10, 1000]))
    def lease(self, pid: int, budget: int) -> None:
        """Lease; a child that asks again while it holds a lease gets the same one."""
        if not (held := leases.lease(self.store, CHILDREN[pid], budget)):
            assert not self.waiting()
            return
        places = {place for leased in held.chunks for place in places_of(leased)}
        mine = {place for place, holder in self.holder.items() if holder[0] == pid}
        if mine:
            assert places == mine
        for place in places - mine:
            assert place in self.waiting(), "what another child holds, or has ended, is leased to nobody"
            self.attempts[place] = self.attempts.get(place, 0) + 1
            self.holder[place] = (pid, held.token)
        self.held.append((pid, held))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), twice=st.booleans())
    def finish(self, data: st.DataObject, twice: bool) -> None:  # noqa: FBT001
        """Write the verdicts of a lease, which may have ended long ago."""
        pid, held = data.draw(st.sampled_from(self.held))
        verdict = Verdict(NEGATIVE_POSITIVE, {0: 0.25, 1: 0.75}, held.token, held.token)
        results = [
            ChunkResult(leased.chunk, [verdict] * len(leased.chunk.items), leased.attempts, f"{MODEL_NAME}@1")
            for leased in held.chunks
        ]
        for _ in range(1 + twice):
            leases.finish(self.store, held, results, MODEL)
        for place in [place for place, holder in self.holder.items() if holder == (pid, held.token)]:
            self.end(place, held.token)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        pid, held = data.draw(st.sampled_from(self.held))
        mine = (pid, held.token) in self.holder.values()
        try:
            leases.renew(self.store, held)
        except (LeaseLostError, LeaseCanceledError):
            assert not mine
        else:
            assert mine

    @rule()
    def lapse(self) -> None:
        """Let every lease end, and reconcile."""
        for ref in self.store.redis.zrange(leased_key(QUEUE), 0, -1):
            self.store.redis.zadd(leased_key(QUEUE), {ref: 1})
        self.reconcile(set(CHILDREN), ItemError.ATTEMPTS_EXHAUSTED, set(self.holder))

    @rule(pid=st.sampled_from(sorted(CHILDREN)))
    def crash(self, pid: int) -> None:
        """Let a child die. A later one may have its pid."""
        lost = {place for place, holder in self.holder.items() if holder[0] == pid}
        self.reconcile(set(CHILDREN) - {pid}, ItemError.WORKER_LOST, lost)

    @rule(what=st.sampled_from(TARGETS))
    def pause(self, what: str) -> None:
        pauses.pause(self.store, PauseTarget.parse(what), OPERATOR)
        self.paused.add(what)

    @rule(what=st.sampled_from(TARGETS))
    def resume(self, what: str) -> None:
        pauses.resume(self.store, PauseTarget.parse(what), OPERATOR)
        self.paused.discard(what)

    @rule()
    def reconcile_in_calm(self) -> None:
        self.reconcile(set(CHILDREN), ItemError.WORKER_LOST, set())

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.sizes)))
        cancel.cancel_job(self.store, job_id)
        for index in range(self.sizes[job_id]):
            if (job_id, index) not in self.ended:
                self.end((job_id, index), ItemError.CANCELED)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.sizes)))
        cancel.delete_job(self.store, job_id, "")
        with pytest.raises(JobDeletedError):
            self.store.job(job_id)
        self.sizes.pop(job_id)
        for known in (self.ended, self.holder, self.attempts):
            for place in [place for place in known if place[0] == job_id]:
                known.pop(place)

    @precondition(lambda self: self.sizes)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """Make a job of the failed items of one that has finished."""
        job = self.store.job(data.draw(st.sampled_from(sorted(self.sizes))))
        if not job.status.terminal:
            return
        failed = [
            index
            for (job_id, index), end in sorted(self.ended.items(), key=lambda entry: entry[0])
            if job_id == job.id and isinstance(end, ItemError) and end.retryable
        ]
        try:
            items = list(retryable_items(self.store, job))
        except NothingToRetryError:
            items = []
        assert [item.source_index for item in items] == failed
        if items:
            again = self.store.ids.issue("")
            self.store.create(again, retry_terms(job), [Chunk(again, 0, items)])
            self.sizes[again] = len(items)
            self.admitted += len(items)

    @invariant()
    def results_are_those_of_the_model(self) -> None:
        for job_id, size in self.sizes.items():
            found = {}
            for chunk in self.store.results_by_completion(job_id, 0, 10**6) if size else []:
                for item in chunk:
                    assert (job_id, item.index) not in found
                    found[job_id, item.index] = ending_of(item.outcome)
            expected = {place: end for place, end in self.ended.items() if place[0] == job_id}
            assert found == expected or (not found and len(expected) == size)  # of one chunk: no such list
            items = self.store.results(job_id, 0, 10**6).items
            assert all(expected[job_id, item.index] == ending_of(item.outcome) for item in items)
            job = self.store.job(job_id)
            assert (job.counts.total, job.counts.pending) == (size, size - len(expected))
            assert (job.paused_ms is not None) == (bool(self.paused) and not job.status.terminal)

    def teardown(self) -> None:
        """Do what is left; each admitted item is counted once by how it ended."""
        for what in TARGETS:
            pauses.resume(self.store, PauseTarget.parse(what), OPERATOR)
        self.lapse()  # a lease of a job that was deleted is known until it ends
        while self.store.redis.exists(OPEN_JOBS):
            self.lapse()
            for holder in CHILDREN.values():
                if held := leases.lease(self.store, holder, 10**9):
                    leases.finish(self.store, held, [given(leased) for leased in held.chunks], MODEL)
        counted = {name.decode(): int(n) for name, n in self.store.redis.hgetall(COUNTERS).items()}
        for kind in ("admitted:", "items:"):
            assert sum(n for name, n in counted.items() if name.startswith(kind)) == self.admitted
        for job_id in self.sizes:
            assert not self.store.redis.exists(job_key(job_id, "chunks"), job_key(job_id, "tokens"))
        assert not self.store.redis.exists(leased_key(QUEUE))

    def waiting(self) -> set[Place]:
        every = {(job_id, index) for job_id, size in self.sizes.items() for index in range(size)}
        return every - set(self.ended) - set(self.holder) if not self.paused else set()

    def end(self, place: Place, end: Ending) -> None:
        assert place not in self.ended
        self.ended[place] = end
        self.holder.pop(place, None)

    def reconcile(self, alive: set[int], error: ItemError, lost: set[Place]) -> None:
        self.store.redis.delete(RECONCILER)
        Reconciler(self.store, lambda *_: None, WORKER, MODEL_NAME).tick(alive)
        for place in lost:
            self.holder.pop(place)
            if self.attempts[place] >= MAX_ATTEMPTS:
                self.end(place, error)


def places_of(leased: leases.LeasedChunk) -> list[Place]:
    return [(leased.ref.job_id, leased.ref.start + number) for number in range(len(leased.chunk.items))]


def given(leased: leases.LeasedChunk) -> ChunkResult:
    verdict = Verdict(NEGATIVE_POSITIVE, {0: 0.25, 1: 0.75}, 9, 9)
    return ChunkResult(leased.chunk, [verdict] * len(leased.chunk.items), leased.attempts, f"{MODEL_NAME}@1")


def ending_of(outcome: object) -> Ending:
    assert isinstance(outcome, Verdict | ItemError)
    return outcome.tokens if isinstance(outcome, Verdict) else outcome


# Examples, with up to so many steps each.
SIZES = {"short": (15, 25), "long": (int(os.environ.get("EXAMPLES", "100")), 100)}


@pytest.mark.parametrize(
    "size", ["short", pytest.param("long", marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_a_chunk_ends_once_by_who_holds_it(url: str, size: str) -> None:
    examples, steps = SIZES[size]
    machine = type("Chunks", (Chunks,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=size == "short",
            database=None,
            phases=(Phase.generate, Phase.shrink),  # to explain a failure takes longer than a test may
            suppress_health_check=list(HealthCheck),
        ),
    )
