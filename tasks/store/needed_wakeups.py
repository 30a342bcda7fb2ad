"""Wakes children for chunks that wait: no more of them than there are, and not those that are awake.

Counted in include/wakeups.lua.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tasks.store.jobs import JobStore
from tasks.store.keys import awake_key, ready_key
from tasks.store.leases import Holder

Publish = Callable[[str, int], None]

# Longer than a reconciler takes to lead in place of another one.
_READY_MS = 10_000


class Wakeups:
    """Publishes wake-ups of models, as far as they are needed. `publish` may raise NotPublishedError.

    A `name` distinguishes the chunks that wake-ups are for from any others of that time: so a call whose
    answer got lost may be repeated.
    """

    def __init__(self, store: JobStore, publish: Publish) -> None:
        self._store = store
        self._publish = publish

    def wake(self, model: str, chunks: int, name: object) -> int:
        """Wake children for chunks that came in; return how many wake-ups were published."""
        return self.publish(model, self.count(model, chunks, name)) if chunks else 0

    def leave(self, holder: Holder, token: int) -> None:
        """Wake another child if something waits: this one leases no more for the wake-up that it got.

        `token` is that of its last lease.
        """
        child = f"{holder.worker} {holder.pid}"
        self.publish(holder.model, self.count(holder.model, 1, f"left {token}", leaving=child))

    def count(self, model: str, chunks: int, name: object, *, leaving: str | None = None) -> int:
        """Return how many wake-ups to publish; they count as out from now on."""
        args = {"model": model, "name": str(name), "chunks": chunks, "leaving": leaving}
        due: int = self._store.run("count_wakeups", args)
        return due

    def publish(self, model: str, count: int) -> int:
        """Publish wake-ups that were counted; return how many."""
        if count:
            self._publish(model, count)
        return count

    def note_ready(self, model: str, ready: int) -> bool:
        """Note how many children of a model can score; return whether that is more than before."""
        before = self._store.redis.set(ready_key(model), ready, px=_READY_MS, get=True)
        return ready > int(before or 0)

    def forget_dead(self, model: str, worker: str, alive: Collection[int]) -> None:
        """Count children of a worker that have died as awake no longer."""
        for raw in self._store.redis.zrange(awake_key(model), 0, -1):
            name, pid = raw.decode().rsplit(" ", 1)
            if name == worker and int(pid) not in alive:
                self._store.redis.zrem(awake_key(model), raw)
