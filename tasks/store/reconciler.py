"""Mends what dies: re-sends lost messages, takes over from dead children, closes what is overdue."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic_core import from_json

from tasks.store.cancel import expire_chunks
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    COUNTERS,
    OPEN,
    OWNERS,
    PREFIX,
    UNACKED,
    UPLOADS,
    WORKERS,
    ChunkRef,
    Lease,
    backlog_key,
    job_key,
    leased_key,
    leases_key,
    pending_key,
)
from tasks.store.leases import Guard, complete_chunk
from tasks.store.uploads import close_idle
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import JobStatus, QueueClass

logger = logging.getLogger(__name__)

Publish = Callable[[QueueClass, Sequence[ChunkRef]], None]

TICK_S = 1.0
_LEADER_MS = 5_000
_AT_ONCE = 500  # work of one tick, so that the worker's loop is never held up for long
# A chunk may wait so long without a message in its queue before that counts as lost: longer while messages
# are with workers, which may be busy or starting.
_QUIET_MS, _QUIET_UNACKED_MS = 1_500, 30_000
_REPUBLISH_INTERVAL_MS = 5_000
_FORGET_WORKER_MS = 60_000


class Reconciler:
    """One in every worker's parent; what concerns all workers is done by the one that holds the lock."""

    def __init__(self, store: JobStore, publish_wakeups: Publish, worker: str) -> None:
        self._store = store
        self._publish = publish_wakeups
        self._worker = worker
        self._republished_ms = dict.fromkeys(QueueClass, 0)

    def tick(self, alive: Collection[int]) -> None:
        """Do one bounded round; `alive` are the pids of this worker's children."""
        now = self._store.now_ms()
        with store_errors():
            self._release_orphans(self._worker, alive)
            if self._lead():
                for queue_class in QueueClass:
                    self._release_lapsed(queue_class, now)
                    self._republish_lost(queue_class, now)
                self._close_idle()
                self._close_overdue()
                self._store.run("reset_backlog", [OPEN, OWNERS, *map(backlog_key, QueueClass)], [])
                self._forget_workers(now)

    def take_over(self, worker: str) -> None:
        """Release what the children of a worker hold that is known to be gone, before it lapses."""
        with store_errors():
            self._release_orphans(worker, alive=())
            self._store.redis.hdel(WORKERS, worker)

    def _lead(self) -> bool:
        key, redis = PREFIX + "reconciler", self._store.redis
        if redis.set(key, self._worker, nx=True, px=_LEADER_MS):
            return True
        # Two leaders at once would do no harm: every change is guarded by the job store itself.
        return redis.get(key) == self._worker.encode() and bool(redis.pexpire(key, _LEADER_MS))

    def _release_orphans(self, worker: str, alive: Collection[int]) -> None:
        held: dict[bytes, bytes] = self._store.redis.hgetall(leases_key(worker))
        orphans = [ChunkRef.parse(ref) for ref, pid in held.items() if int(pid) not in alive]
        for queue_class in QueueClass:
            for ref in orphans[:_AT_ONCE]:
                if self._store.redis.zscore(leased_key(queue_class), str(ref)) is not None:
                    self._release(queue_class, ref, "dead")
        if orphans:
            self._store.redis.hdel(leases_key(worker), *map(str, orphans[:_AT_ONCE]))

    def _release_lapsed(self, queue_class: QueueClass, now: int) -> None:
        lapsed = self._store.redis.zrangebyscore(leased_key(queue_class), 0, now, 0, _AT_ONCE)
        for raw in lapsed:
            self._release(queue_class, ChunkRef.parse(raw), "lapsed")

    def _release(self, queue_class: QueueClass, ref: ChunkRef, guard: Guard) -> None:
        chunk = self._payload(ref.job_id, ref.start)
        if chunk is None:
            self._store.redis.zrem(leased_key(queue_class), str(ref))
        elif ref.attempts >= self._store.settings.max_attempts:
            error = ItemError.WORKER_LOST if guard == "dead" else ItemError.ATTEMPTS_EXHAUSTED
            if self._give_up(queue_class, ref, chunk, error, guard):
                logger.error("gave up on %s after %d attempts: %s", ref, ref.attempts, error)
        else:
            self._requeue(queue_class, ref, chunk, guard)

    def _requeue(self, queue_class: QueueClass, ref: ChunkRef, chunk: Chunk, guard: Guard) -> None:
        parts = chunk.split()
        refs = [ChunkRef.of(part, ref.attempts) for part in parts]
        args: list[Any] = [PREFIX, ref.start, str(ref), guard]
        for part_ref, part in zip(refs, parts, strict=True):
            args += [part_ref.start, str(part_ref), part.encode()]
        keys = [
            *(job_key(ref.job_id, "in"), job_key(ref.job_id, "tokens")),
            *(leased_key(queue_class), pending_key(queue_class), leases_key(self._worker)),
        ]
        if self._store.run("requeue_chunk", keys, args):
            logger.warning("%s lost its child (%s): pending again, item by item", ref, guard)
            self._publish(queue_class, refs)

    def _republish_lost(self, queue_class: QueueClass, now: int) -> None:
        redis = self._store.redis
        oldest = redis.zrange(pending_key(queue_class), 0, 0, withscores=True)
        # As long as messages wait, each will bring a child that leases the oldest chunks.
        if not oldest or redis.llen(queue_class.queue):
            return
        patience_ms = _QUIET_UNACKED_MS if redis.hlen(UNACKED) else _QUIET_MS
        if (
            now - oldest[0][1] < patience_ms
            or now - self._republished_ms[queue_class] < _REPUBLISH_INTERVAL_MS
        ):
            return
        refs = [ChunkRef.parse(raw) for raw in redis.zrange(pending_key(queue_class), 0, _AT_ONCE - 1)]
        self._republished_ms[queue_class] = now
        redis.hincrby(COUNTERS, "resent", len(refs))
        logger.warning("re-sent %d messages of class %s that were lost", len(refs), queue_class)
        self._publish(queue_class, refs)

    def _forget_workers(self, now: int) -> None:
        reports: dict[bytes, bytes] = self._store.redis.hgetall(WORKERS)
        gone = [name for name, raw in reports.items() if from_json(raw)["until_ms"] < now - _FORGET_WORKER_MS]
        if gone:
            self._store.redis.hdel(WORKERS, *gone)

    def _close_overdue(self) -> None:
        """Close what is left of jobs whose deadline has passed or which were canceled."""
        for raw in self._due(OPEN):
            job_id = raw.decode()
            status, uploading = self._store.redis.hmget(job_key(job_id), "status", "growing")
            if uploading:
                close_idle(self._store, job_id)
            canceled = status == JobStatus.CANCELING.encode()
            error = ItemError.CANCELED if canceled else ItemError.DEADLINE_EXCEEDED
            expire_chunks(self._store, job_id, error, count=_AT_ONCE)
            if not self._store.redis.exists(job_key(job_id, "in")):
                self._store.redis.zrem(OPEN, job_id)

    def _close_idle(self) -> None:
        """Seal jobs whose uploads ended without a word."""
        for raw in self._due(UPLOADS):
            if close_idle(self._store, raw.decode()):
                logger.warning("the upload of %s broke off: it is what arrived", raw.decode())

    def _due(self, key: str) -> list[bytes]:
        now = self._store.now_ms()
        due: list[bytes] = self._store.redis.zrangebyscore(key, 0, now, 0, _AT_ONCE)
        return due

    def _give_up(
        self, queue_class: QueueClass, ref: ChunkRef, chunk: Chunk, error: ItemError, guard: Guard
    ) -> bool:
        result = ChunkResult.given_up(chunk, error, ref.attempts)
        lost = Lease(queue_class, self._worker, 0, [ref], [chunk])
        return bool(complete_chunk(self._store, ref, result, guard, lost))

    def _payload(self, job_id: str, start: int) -> Chunk | None:
        payload = self._store.redis.hget(job_key(job_id, "in"), start)
        return Chunk.decode(job_id, start, payload) if payload else None
