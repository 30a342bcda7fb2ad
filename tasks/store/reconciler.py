"""Recovers from crashes: republishes wake-ups, requeues chunks of dead children, expires overdue jobs."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection

from tasks.errors import UnknownFormatError
from tasks.store import models, pauses, workers
from tasks.store.cancel import expire_chunks
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore, is_readable
from tasks.store.keys import DEFERRED, OPEN_JOBS, RECONCILER, UPLOADS, job_key, leased_key, leases_key
from tasks.store.leases import Guard, Lease, complete_chunk
from tasks.store.lost_wakeups import LostWakeups
from tasks.store.needed_wakeups import Publish, Wakeups
from tasks.store.unserved import UnservedModels
from tasks.store.uploads import close_idle
from tasks.store.usage import UsageFolder
from tasks.vocabulary.chunks import Chunk, ChunkRef, ChunkResult
from tasks.vocabulary.codec import decode_chunk, encode_chunk
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import JobStatus, Queue

logger = logging.getLogger(__name__)

TICK_S = 1.0
_LEADER_MS = 5_000
_TICK_BATCH = 500  # work of one tick, so that the worker's loop is never held up for long
_SETTLE_S = 0.2  # of one tick, for deadlines of jobs that were paused or resumed
# Without a round for that long, Redis was away or took no writes, and no child could renew its lease either.
# Children get the grace to do so, and a lease that ended meanwhile was no attempt.
_AWAY_MS, _GRACE_MS = 3_000, 3_000


class Reconciler:
    """One in every worker's parent; what concerns all workers is done by the one that holds the lock."""

    def __init__(self, store: JobStore, publish: Publish, worker: str, model: str) -> None:
        self._store = store
        self._wakeups = Wakeups(store, publish)
        self._worker = worker
        self._model = model
        self._lost_wakeups = LostWakeups(store, self._wakeups)
        self._unserved = UnservedModels(store, worker, self._lost_wakeups)
        self._usage = UsageFolder(store)
        self._settling = pauses.Settling(store)
        self._ticked_ms: int | None = None
        self._away_ms = (0, 0)  # when Redis was away last, with the grace behind it

    def tick(self, alive: Collection[int]) -> None:
        """Do one bounded round; `alive` are the pids of this worker's children."""
        now = self._store.now_ms()
        if self._ticked_ms is not None and now - self._ticked_ms > _AWAY_MS:
            self._away_ms = (self._ticked_ms, now + _GRACE_MS)
        with store_errors():
            self._release_orphans(self._worker, alive)
            if self._lead():
                self._release_deferred()
                self._recover_models(now)
                self._settling.go_on(_SETTLE_S)
                self._close_idle_uploads()
                self._expire_overdue()
                self._store.run("free_expired", {"limit": _TICK_BATCH})
                workers.forget_silent(self._store, now)
                self._usage.fold(now)
        # A round of much work may take that long: only the time between rounds says that Redis was away.
        self._ticked_ms = self._store.now_ms()

    def take_over(self, worker: str) -> None:
        """Release at once what the children of a worker hold that is known to be gone."""
        with store_errors():
            self._release_orphans(worker, alive=())
        workers.forget(self._store, worker)

    def _recover_models(self, now: int) -> None:
        """Recover what waits and what is leased of every model; remove those that are retired and done."""
        registered = models.registered(self._store)
        # Jobs for the default model may wait for its first worker.
        names = sorted({self._model, *registered, self._store.settings.default_model} - {""})
        queues = [queue for name in names for queue in Queue.all_of(name)]
        for queue in queues:
            self._release_lapsed(queue, now)
        ready: Counter[str] = Counter()
        for worker in workers.live_workers(self._store):
            ready[worker.serves] += worker.ready
        for name in names:
            self._lost_wakeups.note_ready(name, ready[name], now)
            self._lost_wakeups.republish(name, now)
        self._unserved.tidy(names, now)
        self._store.run("reset_backlog", {"queues": list(map(str, queues))})
        for name, model in registered.items():
            if model.retiring and models.retire(self._store, name) == (0, 0):
                logger.warning("removed the model %s, which was retired", name)

    def _lead(self) -> bool:
        redis = self._store.redis
        if redis.set(RECONCILER, self._worker, nx=True, px=_LEADER_MS):
            return True
        # Two leaders at once would do no harm: the store itself guards every change.
        mine = redis.get(RECONCILER) == self._worker.encode()
        return mine and bool(redis.pexpire(RECONCILER, _LEADER_MS))

    def _release_orphans(self, worker: str, alive: Collection[int]) -> None:
        """Release what a worker's dead children hold, and count them as awake no longer."""
        self._wakeups.forget_dead(self._model, worker, alive)
        held: dict[bytes, bytes] = self._store.redis.hgetall(leases_key(worker))
        holders = {ref: holder.split() for ref, holder in held.items()}
        dead = [(ref, token) for ref, (pid, token) in holders.items() if int(pid) not in alive][:_TICK_BATCH]
        for raw, token in dead:
            ref = ChunkRef.parse(raw)
            # Another child may hold the chunk by now, under an equal ref.
            if self._store.redis.hget(job_key(ref.job_id, "tokens"), ref.start) in (None, token):
                queue = self._store.redis.hget(job_key(ref.job_id), "queue")
                # What a deleted job leaves behind lapses.
                if queue and self._store.redis.zscore(leased_key(Queue.parse(queue)), raw) is not None:
                    self._release(Queue.parse(queue), ref, "dead")
        if dead:
            self._store.redis.hdel(leases_key(worker), *(ref for ref, _ in dead))

    def _release_lapsed(self, queue: Queue, now: int) -> None:
        since, until = self._away_ms
        if now < until:
            return
        leased = self._store.redis.zrange(
            leased_key(queue), 0, now, byscore=True, withscores=True, offset=0, num=_TICK_BATCH
        )
        for raw, end in leased:
            self._release(queue, ChunkRef.parse(raw), "lapsed", counts=not since <= end <= until)

    def _release(self, queue: Queue, ref: ChunkRef, guard: Guard, *, counts: bool = True) -> None:
        """Take a chunk from a child that is gone: requeue it, or give it up after its last attempt."""
        try:
            chunk = self._read_chunk(ref.job_id, ref.start)
        except UnknownFormatError:
            return  # left for a worker of the version that wrote it
        attempts = ref.attempts if counts else ref.attempts - 1
        if chunk is None:
            self._store.redis.zrem(leased_key(queue), str(ref))
        elif attempts >= self._store.settings.max_attempts:
            self._give_up(queue, ref, chunk, guard)
        else:
            self._requeue(queue, ref, chunk, guard, attempts)

    def _requeue(self, queue: Queue, ref: ChunkRef, chunk: Chunk, guard: Guard, attempts: int) -> None:
        """Make a chunk pending again, as one chunk for each of its items."""
        parts = chunk.split()
        args = {
            "job_id": ref.job_id,
            "queue": str(queue),
            "worker": self._worker,
            "start": ref.start,
            "ref": str(ref),
            "guard": guard,
            "parts": [(part.start, str(ChunkRef.of(part, attempts, ref.returns))) for part in parts],
        }
        if self._store.run("requeue_chunk", args, [encode_chunk(part) for part in parts]):
            logger.warning("requeued %s item by item: its child is gone (%s)", ref, guard)
            self._wakeups.wake(queue.model, len(parts), ref)

    def _give_up(self, queue: Queue, ref: ChunkRef, chunk: Chunk, guard: Guard) -> None:
        error = ItemError.WORKER_LOST if guard == "dead" else ItemError.ATTEMPTS_EXHAUSTED
        result = ChunkResult.given_up(chunk, error, ref.attempts)
        held = Lease(queue, self._worker, 0, ())
        if complete_chunk(self._store, held, ref, result, guard):
            logger.error("gave up %s after %d attempts: %s", ref, ref.attempts, error)

    def _expire_overdue(self) -> None:
        """Expire what is left of jobs that are overdue or canceled."""
        due = [raw.decode() for raw in self._due(OPEN_JOBS)]
        pauses.settle_jobs(self._store, due)
        # What is paused is due no longer; what came in its place was not settled.
        still_due = {raw.decode() for raw in self._due(OPEN_JOBS)}
        for job_id in filter(still_due.__contains__, due):
            fields = self._store.redis.hmget(job_key(job_id), "status", "uploading", "format")
            status, uploading, written = fields
            if not is_readable(written):
                continue  # left for a worker of the version that wrote it
            if uploading:
                close_idle(self._store, job_id)
            canceled = status == JobStatus.CANCELING.encode()
            error = ItemError.CANCELED if canceled else ItemError.DEADLINE_EXCEEDED
            expire_chunks(self._store, job_id, error, count=_TICK_BATCH)
            args = {"job_id": job_id, "status": error.status, "code": error}
            if missing := self._store.run("close_overdue", args):
                logger.error("closed %s: %d of its items were nowhere", job_id, missing)

    def _release_deferred(self) -> None:
        """Make the chunks pending of jobs whose time has come; the next round goes on with a large one."""
        left = _TICK_BATCH
        for job_id in (raw.decode() for raw in self._due(DEFERRED)):
            if left and self._reads(job_id):
                queue, count, awake = self._store.run("release_job", {"job_id": job_id, "limit": left})
                left -= count
                if awake:
                    self._wakeups.wake(Queue.parse(queue).model, awake, f"{job_id} {self._store.now_ms()}")

    def _close_idle_uploads(self) -> None:
        for job_id in (raw.decode() for raw in self._due(UPLOADS)):
            if self._reads(job_id) and close_idle(self._store, job_id):
                logger.warning("closed the upload of %s: nothing came for too long", job_id)

    def _due(self, key: str) -> list[bytes]:
        due: list[bytes] = self._store.redis.zrangebyscore(key, 0, self._store.now_ms(), 0, _TICK_BATCH)
        return due

    def _reads(self, job_id: str) -> bool:
        """Return whether this program reads the format of a job, or the job is gone."""
        return is_readable(self._store.redis.hget(job_key(job_id), "format"))

    def _read_chunk(self, job_id: str, start: int) -> Chunk | None:
        if not self._reads(job_id):
            raise UnknownFormatError(job_id)
        payload = self._store.redis.hget(job_key(job_id, "chunks"), start)
        return decode_chunk(job_id, start, payload) if payload else None
