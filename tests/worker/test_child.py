"""A child's lease ends by the clock, its rate follows what was computed, and a sick child scores no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.store.counters import Counters, LocalCounters
from tasks.store.jobs import JobStore
from tasks.store.keys import awake_key, leased_key, pending_key
from tasks.store.leases import Holder
from tasks.store.needed_wakeups import Wakeups
from tasks.vocabulary.chunks import Chunk, ChunkRef
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tests.conftest import MODEL_NAME
from tests.ready_children import report_ready
from worker.engines.checked import CheckedEngine
from worker.engines.engine import Tokens
from worker.engines.failure import EngineFailedError
from worker.engines.metered import MeteredEngine
from worker.packs.pack import load_pack
from worker.process.child import Child
from worker.process.fork_state import KnownLogits
from worker.process.shift import work_until_idle
from worker.scoring.classifier import Classifier

PACK = load_pack(Path(__file__).parents[2] / "models" / "embedded")
BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


class Slow:
    """An engine that takes a fixed time for each row, or fails; the logits depend on the ids alone."""

    batch_tokens = 32

    def __init__(self) -> None:
        self.seconds_per_row = 0.0
        self.failing = False
        self.shift = 0.0
        self.rows = 0

    def forward(
        self, ids: Tokens, mask: Tokens, _segments: Tokens | None, logits: NDArray[np.float32]
    ) -> None:
        if self.failing:
            return
        rows = int(mask[:, 0].sum())
        time.sleep(self.seconds_per_row * rows)
        self.rows += rows
        total = (ids * mask).sum(1) / 1e4 + self.shift
        logits[:] = np.stack([-total, total], 1)


class Bench:
    """A child on a real store with an engine that the test rules, and the wake-ups that it publishes."""

    def __init__(self, store: JobStore, cache_rows: int = 0) -> None:
        self.store, self.engine, self.published = store, Slow(), list[int]()
        self.known, self.finished = KnownLogits(), list[int]()
        self.cache_rows = cache_rows
        store.labels.record("test@1", PACK.labels)
        report_ready(store, MODEL_NAME, children=99)
        self.child = self.start(1)

    def start(self, pid: int) -> Child:
        counters = LocalCounters()
        engine = MeteredEngine(CheckedEngine(self.engine, PACK), counters)
        classifier = Classifier(PACK, engine, batch_tokens=32, cache_rows=self.cache_rows)
        holder = Holder("worker", pid, siblings=1, model=MODEL_NAME)
        return Child(
            classifier,
            self.store,
            holder,
            MODEL,
            counters,
            known=self.known,
            wakeups=Wakeups(self.store, lambda _, count: self.published.append(count)),
            finished=self.finished.append,
        )

    def submit(self, *chunks: Sequence[str]) -> str:
        job_id, start, made = self.store.ids.issue(), 0, []
        for texts in chunks:
            made.append(Chunk(job_id, start, [Item.accept(text, 10_000) for text in texts]))
            start += len(texts)
        self.store.create(job_id, Terms(queue_class=BULK), made)
        return job_id

    def pending(self) -> list[ChunkRef]:
        return [ChunkRef.parse(raw) for raw in self.store.redis.zrange(pending_key(QUEUE), 0, -1)]


@pytest.fixture
def bench_of(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    def build(cache_rows: int = 0, **variables: float) -> Bench:
        for name, value in variables.items():
            monkeypatch.setenv(f"SENTIMENT_{name.upper()}", str(value))
        return Bench(JobStore.connect(type(store.settings).read()), cache_rows)

    return build


def texts(count: int, first: int = 0) -> list[str]:
    return [f"第{number}个不同的文本" for number in range(first, first + count)]


def test_a_lease_ends_by_the_clock_and_returns_what_is_not_whole(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(lease_work_s=0.1)
    job_id = bench.submit(*(texts(4, 4 * chunk) for chunk in range(6)))
    bench.engine.seconds_per_row = 0.06
    before = bench.engine.rows
    bench.child.work()
    assert bench.engine.rows - before < 24
    waiting = bench.pending()
    assert 0 < len(waiting) < 6
    assert {(ref.attempts, ref.returns) for ref in waiting} == {(0, 0)}
    assert bench.published == [len(waiting)]
    assert bench.store.job(job_id).counts.succeeded == 24 - 4 * len(waiting)
    assert bench.finished == [24 - 4 * len(waiting)]
    bench.engine.seconds_per_row = 0
    for _ in range(6):
        bench.child.work()
    assert bench.store.job(job_id).status is JobStatus.SUCCEEDED
    assert {item.attempts for item in bench.store.results(job_id, 0, 99).items} == {1}


def test_a_chunk_longer_than_half_the_time_limit_is_split_and_one_text_ends(
    bench_of: Callable[..., Bench],
) -> None:
    bench = bench_of(lease_work_s=0.05, task_time_limit_s=1)
    job_id = bench.submit(texts(8))
    bench.engine.seconds_per_row = 0.2
    bench.child.work()
    assert [(ref.start, ref.attempts) for ref in bench.pending()] == [(start, 0) for start in range(8)]
    assert bench.published == [8]
    bench.child.work()
    assert bench.store.job(job_id).counts.succeeded >= 1, "a chunk of one item is scored to its end"


@pytest.mark.parametrize("cache_rows", [0, 100])
def test_what_a_lease_scored_before_its_time_ended_is_not_scored_again(
    bench_of: Callable[..., Bench], cache_rows: int
) -> None:
    bench = bench_of(cache_rows=cache_rows, lease_work_s=0.05, task_time_limit_s=20)
    job_id = bench.submit(texts(12))
    bench.engine.seconds_per_row = 0.04
    before = bench.engine.rows
    bench.child.work()
    assert bench.engine.rows - before == 12
    assert [item.outcome.cached for item in bench.store.results(job_id, 0, 99).items] == [False] * 12  # type: ignore[union-attr]


def test_duplicates_and_cached_rows_teach_no_rate(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(cache_rows=100, lease_work_s=1)
    before = bench.child._cost_per_s
    bench.submit(["同一个文本"] * 390)
    bench.child.work()
    learned = bench.child._cost_per_s
    assert learned < 2 * before, "390 equal texts are one row"
    bench.submit(["同一个文本"] * 390, ["", " "])
    bench.child.work()
    assert bench.child._cost_per_s == learned
    assert bench.engine.rows == 1 + 2 + 1, "checked, known and the one distinct text"


def test_a_sick_child_returns_its_lease_and_another_scores_it(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(cache_rows=100)
    job_id = bench.submit(texts(3))
    bench.engine.failing = True
    with pytest.raises(EngineFailedError):
        bench.child.work()
    assert [(ref.attempts, ref.returns) for ref in bench.pending()] == [(0, 1)]
    assert bench.published == [1, 1], "for the chunk, and in place of the child"
    assert not bench.store.redis.exists(leased_key(QUEUE))
    assert Counters.read(bench.store).counts["returned:sick"] == 1
    bench.engine.failing = False
    bench.start(2).work()
    results = bench.store.results(job_id, 0, 9).items
    assert [(item.attempts, item.status) for item in results] == [(1, "succeeded")] * 3


def test_a_text_that_fails_alone_by_the_engine_is_not_to_blame(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of()
    job_id = bench.submit(["一个文本"])
    for pid in (1, 2):
        bench.engine.failing = False
        child = bench.start(pid)
        bench.engine.failing = True
        with pytest.raises(EngineFailedError):
            child.work()
    assert bench.store.job(job_id).counts.failed == 0
    bench.engine.failing = False
    bench.start(3).work()
    assert bench.store.job(job_id).status is JobStatus.SUCCEEDED


def test_a_child_that_gives_known_texts_other_logits_leases_nothing(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of()
    bench.submit(texts(3))
    bench.engine.shift = 0.5
    with pytest.raises(EngineFailedError, match="known texts"):
        bench.start(2)
    bench.child._probe_at = 0
    with pytest.raises(EngineFailedError, match="known texts"):
        bench.child.work()
    assert len(bench.pending()) == 1


def never() -> bool:
    return False


def awake(bench: Bench) -> list[bytes]:
    return list(bench.store.redis.zrange(awake_key(MODEL_NAME), 0, -1))


def test_a_child_works_for_one_wakeup_until_nothing_waits(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(chunk_chars=1)
    jobs = [bench.submit(texts(4, 4 * number)) for number in range(5)]
    work_until_idle(bench.child, 60, never)
    assert {bench.store.job(job_id).status for job_id in jobs} == {JobStatus.SUCCEEDED}
    assert int(bench.store.redis.get("sentiq:fence")) == 5, "five leases"
    assert (awake(bench), bench.published) == ([], [])


@pytest.mark.parametrize("reason", ["time", "stop"])
def test_a_child_hands_over_after_a_while_or_when_its_worker_stops(
    bench_of: Callable[..., Bench], reason: str
) -> None:
    bench = bench_of(chunk_chars=1)
    for number in range(3):
        bench.submit(texts(4, 4 * number))
    work_until_idle(bench.child, 0 if reason == "time" else 60, lambda: reason == "stop")
    assert len(bench.pending()) == 2
    assert (awake(bench), bench.published) == ([], [1])


def test_a_child_that_leaves_wakes_nobody_when_nothing_waits(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of()
    bench.submit(texts(4))
    work_until_idle(bench.child, 0, never)
    assert (awake(bench), bench.published) == ([], [])


def test_a_sick_child_is_awake_no_longer(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of()
    bench.submit(texts(3))
    bench.engine.failing = True
    with pytest.raises(EngineFailedError):
        work_until_idle(bench.child, 60, never)
    assert awake(bench) == []
