"""Mends what dies: re-sends lost messages, takes over from dead children, closes what is overdue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic_core import from_json

from tasks.store.cancel import close_items
from tasks.store.connection import ledger_errors
from tasks.store.jobs import Ledger
from tasks.store.keys import (
    COUNTERS,
    OPEN,
    OWNERS,
    PREFIX,
    UNACKED,
    UPLOADS,
    WORKERS,
    Lease,
    Ref,
    job_key,
    leased,
    leases_of,
    pending,
    queue,
)
from tasks.store.leases import Guard, close
from tasks.store.uploads import seal_silent
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import JobStatus, QueueClass

logger = logging.getLogger(__name__)

Ring = Callable[[QueueClass, Sequence[Ref]], None]

TICK_S = 1.0
_LEADER_MS = 5_000
_AT_ONCE = 500  # work of one tick, so that the worker's loop is never held up for long
# A chunk may wait so long without a message in its queue before that counts as lost: longer while messages
# are with workers, which may be busy or starting.
_QUIET_MS, _QUIET_UNACKED_MS = 1_500, 30_000
_BETWEEN_RINGS_MS = 5_000
_FORGET_WORKER_MS = 60_000


class Reconciler:
    """One in every worker's parent; what concerns all workers is done by the one that holds the lock."""

    def __init__(self, ledger: Ledger, ring: Ring, worker: str) -> None:
        self._ledger = ledger
        self._ring = ring
        self._worker = worker
        self._rang_ms = dict.fromkeys(QueueClass, 0)

    def tick(self, alive: Collection[int]) -> None:
        """Do one bounded round; `alive` are the pids of this worker's children."""
        now = self._ledger.now_ms()
        with ledger_errors():
            self._release_orphans(self._worker, alive)
            if self._lead():
                for queue_class in QueueClass:
                    self._release_lapsed(queue_class, now)
                    self._ring_again(queue_class, now)
                self._seal_silent()
                self._close_overdue()
                self._ledger.run("reset_backlog", [OPEN, OWNERS, *map(queue, QueueClass)], [])
                self._forget_workers(now)

    def take_over(self, worker: str) -> None:
        """Release what the children of a worker hold that is known to be gone, before it lapses."""
        with ledger_errors():
            self._release_orphans(worker, alive=())
            self._ledger.redis.hdel(WORKERS, worker)

    def _lead(self) -> bool:
        key, redis = PREFIX + "reconciler", self._ledger.redis
        if redis.set(key, self._worker, nx=True, px=_LEADER_MS):
            return True
        # Two leaders at once would do no harm: every change is guarded by the ledger itself.
        return redis.get(key) == self._worker.encode() and bool(redis.pexpire(key, _LEADER_MS))

    def _release_orphans(self, worker: str, alive: Collection[int]) -> None:
        held: dict[bytes, bytes] = self._ledger.redis.hgetall(leases_of(worker))
        orphans = [Ref.parse(ref) for ref, pid in held.items() if int(pid) not in alive]
        for queue_class in QueueClass:
            for ref in orphans[:_AT_ONCE]:
                if self._ledger.redis.zscore(leased(queue_class), str(ref)) is not None:
                    self._release(queue_class, ref, "dead")
        if orphans:
            self._ledger.redis.hdel(leases_of(worker), *map(str, orphans[:_AT_ONCE]))

    def _release_lapsed(self, queue_class: QueueClass, now: int) -> None:
        lapsed = self._ledger.redis.zrangebyscore(leased(queue_class), 0, now, 0, _AT_ONCE)
        for raw in lapsed:
            self._release(queue_class, Ref.parse(raw), "lapsed")

    def _release(self, queue_class: QueueClass, ref: Ref, guard: Guard) -> None:
        chunk = self._payload(ref.job_id, ref.start)
        if chunk is None:
            self._ledger.redis.zrem(leased(queue_class), str(ref))
        elif ref.attempts >= self._ledger.settings.max_attempts:
            error = ItemError.WORKER_LOST if guard == "dead" else ItemError.ATTEMPTS_EXHAUSTED
            if self._give_up(queue_class, ref, chunk, error, guard):
                logger.error("gave up on %s after %d attempts: %s", ref, ref.attempts, error)
        else:
            self._requeue(queue_class, ref, chunk, guard)

    def _requeue(self, queue_class: QueueClass, ref: Ref, chunk: Chunk, guard: Guard) -> None:
        parts = chunk.split()
        refs = [Ref.of(part, ref.attempts) for part in parts]
        args: list[Any] = [PREFIX, ref.start, str(ref), guard]
        for part_ref, part in zip(refs, parts, strict=True):
            args += [part_ref.start, str(part_ref), part.encode()]
        keys = [
            *(job_key(ref.job_id, "in"), job_key(ref.job_id, "tokens")),
            *(leased(queue_class), pending(queue_class), leases_of(self._worker)),
        ]
        if self._ledger.run("requeue_chunk", keys, args):
            logger.warning("%s lost its child (%s): pending again, item by item", ref, guard)
            self._ring(queue_class, refs)

    def _ring_again(self, queue_class: QueueClass, now: int) -> None:
        redis = self._ledger.redis
        oldest = redis.zrange(pending(queue_class), 0, 0, withscores=True)
        # As long as messages wait, each will bring a child that leases the oldest chunks.
        if not oldest or redis.llen(queue_class.queue):
            return
        patience_ms = _QUIET_UNACKED_MS if redis.hlen(UNACKED) else _QUIET_MS
        if now - oldest[0][1] < patience_ms or now - self._rang_ms[queue_class] < _BETWEEN_RINGS_MS:
            return
        refs = [Ref.parse(raw) for raw in redis.zrange(pending(queue_class), 0, _AT_ONCE - 1)]
        self._rang_ms[queue_class] = now
        redis.hincrby(COUNTERS, "resent", len(refs))
        logger.warning("re-sent %d messages of class %s that were lost", len(refs), queue_class)
        self._ring(queue_class, refs)

    def _forget_workers(self, now: int) -> None:
        reports: dict[bytes, bytes] = self._ledger.redis.hgetall(WORKERS)
        gone = [name for name, raw in reports.items() if from_json(raw)["until_ms"] < now - _FORGET_WORKER_MS]
        if gone:
            self._ledger.redis.hdel(WORKERS, *gone)

    def _close_overdue(self) -> None:
        """Close what is left of jobs whose deadline has passed or which were canceled."""
        for raw in self._due(OPEN):
            job_id = raw.decode()
            status, growing = self._ledger.redis.hmget(job_key(job_id), "status", "growing")
            if growing:
                seal_silent(self._ledger, job_id)
            canceled = status == JobStatus.CANCELING.encode()
            error = ItemError.CANCELED if canceled else ItemError.DEADLINE_EXCEEDED
            close_items(self._ledger, job_id, error, count=_AT_ONCE)
            if not self._ledger.redis.exists(job_key(job_id, "in")):
                self._ledger.redis.zrem(OPEN, job_id)

    def _seal_silent(self) -> None:
        """Seal jobs whose uploads ended without a word."""
        for raw in self._due(UPLOADS):
            if seal_silent(self._ledger, raw.decode()):
                logger.warning("the upload of %s broke off: it is what arrived", raw.decode())

    def _due(self, key: str) -> list[bytes]:
        now = self._ledger.now_ms()
        due: list[bytes] = self._ledger.redis.zrangebyscore(key, 0, now, 0, _AT_ONCE)
        return due

    def _give_up(
        self, queue_class: QueueClass, ref: Ref, chunk: Chunk, error: ItemError, guard: Guard
    ) -> bool:
        result = ChunkResult.given_up(chunk, error, ref.attempts)
        lost = Lease(queue_class, self._worker, 0, [ref], [chunk])
        return bool(close(self._ledger, ref, result, guard, lost))

    def _payload(self, job_id: str, start: int) -> Chunk | None:
        payload = self._ledger.redis.hget(job_key(job_id, "in"), start)
        return Chunk.decode(job_id, start, payload) if payload else None
