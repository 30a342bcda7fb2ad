"""The programs whose steps are interleaved: children that work, and the parent's round that reconciles.

Both call the code of the service. Only the engine is missing: a verdict is made of the lease's token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import pytest
import redis

from tasks.errors import LeaseLostError
from tasks.settings import Settings
from tasks.store import leases, scripts, workers
from tasks.store.jobs import JobStore
from tasks.store.needed_wakeups import Wakeups
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.model_names import wakeup_queue
from tasks.vocabulary.verdicts import Verdict
from tests.faults.planted.defects import script
from tests.faults.stepping import SteppedClient

MODEL_NAME, WORKER = "model", "worker"
MODEL = {"id": MODEL_NAME, "revision": "1", "engine": "none"}
QUEUE = Queue(MODEL_NAME, QueueClass.BULK)
WAKEUPS = wakeup_queue(MODEL_NAME)
CLOCK = "clock"  # the key that holds the time, in seconds
START_S = 1_800_000_000
# A lease ends, and a wake-up counts as lost, when the time goes on once; twice without a round is an outage.
LEASE_S, PASS_S = 1, 2
BUDGET = 1  # a lease is of one chunk
MAX_ATTEMPTS = 2

Program = Callable[[], Any]


@dataclass(frozen=True)
class Memory:
    """What a reconciler knows from one round to the next."""

    ticked_ms: int | None = None
    away_ms: tuple[int, int] = (0, 0)
    tidied_ms: int = 0


class Actors:
    """Makes the programs. Their store is `stepped`; `real` sends what they are stopped before."""

    def __init__(self, real: redis.Redis, url: str) -> None:
        self.real = real
        read = Settings(redis_url=url, default_model=MODEL_NAME, max_attempts=MAX_ATTEMPTS, lease_s=LEASE_S)
        self.client = SteppedClient(connection_pool=real.connection_pool)
        self._store, self._direct = JobStore(self.client, read), JobStore(real, read)
        sources = {path.stem: scripts.source(path) for path in scripts.LUA.glob("*.lua")}
        self.names = {
            sha1(source.encode(), usedforsecurity=False).hexdigest(): name for name, source in sources.items()
        }
        for source in sources.values():
            real.script_load(source)

    def begin(self, sizes: list[int]) -> str:
        """Record a job of chunks of these sizes, with a wake-up each; return its id."""
        self.real.flushall()
        self.real.set(CLOCK, START_S)
        job_id, start, chunks = self._direct.ids.issue(""), 0, []
        self._direct.labels.record(f"{MODEL_NAME}@1", NEGATIVE_POSITIVE)
        for size in sizes:
            chunks.append(Chunk(job_id, start, [Item.accept("好", 9)] * size))
            start += size
        self._direct.create(job_id, Terms(queue_class=QueueClass.BULK), chunks)
        self.real.lpush(WAKEUPS, *[b"wake"] * len(sizes))
        return job_id

    def child(self, pid: int, *, sick: bool) -> Program:
        """Return what a child does: take a wake-up, then lease, renew and finish until nothing waits.

        A sick one returns its first lease.
        """

        def work() -> None:
            if self.client.rpop(WAKEUPS) is None:
                return
            holder = leases.Holder(WORKER, pid, 3, MODEL_NAME)
            held = leases.lease(self._store, holder, BUDGET, woken=True)
            while held is not None and not sick:
                self._finish(held)
                held = leases.lease(self._store, holder, BUDGET)
            if held is not None:
                self._give_back(holder, held)

        return work

    def _finish(self, held: leases.Lease) -> None:
        try:
            leases.renew(self._store, held)
        except LeaseLostError:
            return
        verdict = Verdict(NEGATIVE_POSITIVE, {0: 0.25, 1: 0.75}, held.token, held.token)
        results = [
            ChunkResult(leased.chunk, [verdict] * len(leased.chunk.items), leased.attempts, f"{MODEL_NAME}@1")
            for leased in held.chunks
        ]
        leases.finish(self._store, held, results, MODEL)

    def _give_back(self, holder: leases.Holder, held: leases.Lease) -> None:
        returned = [
            leases.return_chunk(self._store, held, leased, leases.ReturnReason.SICK) for leased in held.chunks
        ]
        wakeups = Wakeups(self._store, self._publish)
        wakeups.wake(MODEL_NAME, sum(returned), f"returned {held.token}")
        wakeups.leave(holder, held.token)

    def round(self, alive: frozenset[int], memory: Memory) -> Program:
        """Return a round of the parent. It returns what its reconciler remembers."""

        def tick() -> Memory:
            workers.heartbeat(
                self._store, WORKER, children=3, ready=3, model={"name": MODEL_NAME}, restarts=0
            )
            reconciler: Any = Reconciler(self._store, self._publish, WORKER, MODEL_NAME)
            reconciler._ticked_ms, reconciler._away_ms = memory.ticked_ms, memory.away_ms
            reconciler._unserved._tidied_ms = memory.tidied_ms
            reconciler.tick(alive)
            return Memory(reconciler._ticked_ms, reconciler._away_ms, reconciler._unserved._tidied_ms)

        return tick

    def _publish(self, _: str, count: int) -> None:
        if count:
            self.client.lpush(WAKEUPS, *[b"wake"] * count)


@contextmanager
def set_clock() -> Iterator[pytest.MonkeyPatch]:
    """Let scripts read the time from a key while the context lasts, and undo what else is changed in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "LUA", scripts.LUA)
        script("clock", "redis.call('TIME')", f"{{redis.call('GET', '{CLOCK}'), 0}}")(scripts)
        yield patch
