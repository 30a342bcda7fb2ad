"""Pauses and resumes a class, a model or an owner; deadlines stand still meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from tasks.store import audit, models
from tasks.store.audit import Author
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import PAUSES, UNSETTLED, parked_lines_key
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.pauses import Pause, PauseKind, PauseTarget

# Jobs whose deadlines one script settles.
_SLICE = 200
# A call settles deadlines for that long at most; the reconciler goes on.
_PATIENCE_S = 10.0


def read_pauses(store: JobStore) -> list[Pause]:
    """Return all pauses, the oldest first."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(PAUSES)
    found = [Pause.decode(target, written) for target, written in raw.items()]
    return sorted(found, key=lambda pause: (pause.since_ms, str(pause.target)))


def pause(store: JobStore, target: PauseTarget, author: Author, reason: str = "") -> Pause:
    """Pause a target, and stop the deadlines of its jobs. One that is paused already stays as it is."""
    fields = {"by": author.by} | ({"reason": reason} if reason else {})
    written, *_ = _change(store, "pause_work", target, author, reason, pause=fields)
    settle(store, _PATIENCE_S)
    return Pause.decode(str(target).encode(), written)


def resume(store: JobStore, target: PauseTarget, author: Author) -> list[tuple[str, int]]:
    """Resume a target, if it is paused; deadlines of its jobs go on, later by the time that they stood still.

    Return models with how many of their chunks may be leased again.
    """
    _, *queues = _change(store, "resume_work", target, author, "")
    settle(store, _PATIENCE_S)
    return [(model.decode(), chunks) for model, chunks in queues]


class Settling:
    """Stops deadlines, or has them go on, as pauses changed: in short steps, one behind the other.

    One that could not finish goes on where it was, so that each open job has its turn.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._walk = (b"", "")  # the version of the pauses, and the run of Redis in which the cursor is valid
        self._cursor = 0

    def go_on(self, patience_s: float) -> bool:
        """Settle for that long at most; return whether all deadlines are as they should be."""
        end = time.monotonic() + patience_s
        redis = self._store.redis
        with store_errors():
            version = redis.get(UNSETTLED)
            walk = (version, redis.info("server")["run_id"] if version else "")
        if walk != self._walk:
            self._walk, self._cursor = walk, 0
        while version and time.monotonic() < end:
            args = {"cursor": self._cursor, "count": _SLICE, "version": version.decode()}
            self._cursor = int(self._store.run("settle_jobs", args))
            if not self._cursor:
                return True
        return not version


def settle(store: JobStore, patience_s: float) -> bool:
    """Settle the deadlines of all open jobs, for that long at most; return whether all are done."""
    return Settling(store).go_on(patience_s)


def settle_jobs(store: JobStore, job_ids: Sequence[str]) -> None:
    """Settle the deadlines of some jobs, while those of others may not be settled."""
    with store_errors():
        unsettled = store.redis.exists(UNSETTLED)
    if unsettled and job_ids:
        store.run("settle_jobs", {"ids": job_ids})


def paused_items(store: JobStore, targets: Iterable[PauseTarget]) -> dict[PauseTarget, int]:
    """Return how many unfinished items each pause holds up; one may be held up by several."""
    queues = _queues(store)
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for queue in queues:
            pipe.hgetall(parked_lines_key(queue))
        lines = [
            (queue, field.decode().removeprefix("items:"), int(count))
            for queue, line in zip(queues, pipe.execute(), strict=True)
            for field, count in line.items()
            if field.startswith(b"items:")
        ]
    return {
        target: sum(count for queue, owner, count in lines if target.holds(queue, owner))
        for target in targets
    }


def _change(
    store: JobStore, action: str, target: PauseTarget, author: Author, reason: str, **given: object
) -> tuple[bytes, *tuple[tuple[bytes, int], ...]]:
    """Run the script and record the change in one step."""
    concerned = [queue for queue in _queues(store) if target.holds(queue, target.name)]
    args = {"target": str(target), "queues": list(map(str, concerned)), **given}
    key_id = ""
    if target.kind is PauseKind.OWNER:
        args["owner"] = key_id = target.name
    detail = f"{target}: {reason}" if reason else str(target)
    with store_errors():
        pipe = store.redis.pipeline()
        store.run("pause", args, pipe=pipe)
        audit.append(pipe, action, key_id, detail, author=author)
        answer, _ = pipe.execute()
    return tuple(answer)


def _queues(store: JobStore) -> list[Queue]:
    """Return every queue: jobs for the default model may wait for its first worker."""
    names = {*models.registered(store), store.settings.default_model} - {""}
    return [queue for name in sorted(names) for queue in Queue.all_of(name)]
