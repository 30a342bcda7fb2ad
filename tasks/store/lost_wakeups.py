"""Publishes wake-ups anew that were lost on their way, and drops those that nobody needs."""

from __future__ import annotations

import logging

from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, UNACKED, pending_key, published_key, waiting_key
from tasks.store.needed_wakeups import Wakeups
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.model_names import wakeup_queue

logger = logging.getLogger(__name__)

# A chunk may wait this long without a wake-up in its queue before that counts as lost: longer while workers
# have messages that they have not acknowledged, since they may be busy or starting. One too many is harmless.
_QUIET_MS, _QUIET_UNACKED_MS = 1_500, 3_000
_MOST = 500  # owners that are looked at


class LostWakeups:
    """Looks for models whose chunks wait although no wake-up is left that would bring a child."""

    def __init__(self, store: JobStore, wakeups: Wakeups) -> None:
        self._redis = store.redis
        self._wakeups = wakeups

    def republish(self, model: str, now_ms: int) -> None:
        """Publish wake-ups for the pending chunks of a model if those that it had are lost.

        One that was published less than three seconds ago is on its way.
        """
        queues = Queue.all_of(model)
        oldest = [self._redis.zrange(waiting_key(queue), 0, 0, withscores=True) for queue in queues]
        waiting_since = [owners[0][1] for owners in oldest if owners]
        if not waiting_since or self._redis.llen(wakeup_queue(model)):
            return
        quiet_ms = _QUIET_UNACKED_MS if self._redis.hlen(UNACKED) else _QUIET_MS
        if now_ms - min(waiting_since) < quiet_ms:
            return
        on_their_way = self._redis.zcount(published_key(model), now_ms, "+inf")
        lacking = max(0, self._waiting(model) - on_their_way)
        if count := self._wakeups.count(model, lacking, f"lost {now_ms}"):
            self._redis.hincrby(COUNTERS, "republished", count)
            logger.warning("republished %d lost wake-ups of %s", count, model)
            self._wakeups.publish(model, count)

    def note_ready(self, model: str, ready: int, now_ms: int) -> None:
        """Note how many children of a model can score; wake those that have become ready for what waits."""
        if self._wakeups.note_ready(model, ready) and (waiting := self._waiting(model)):
            self._wakeups.wake(model, waiting, f"ready {now_ms}")

    def trim(self, model: str) -> None:
        """Drop the wake-ups of a model beyond its pending chunks; one too few is published again later."""
        if waiting := self._waiting(model):
            self._redis.ltrim(wakeup_queue(model), -waiting, -1)
        else:
            self._redis.unlink(wakeup_queue(model))

    def _waiting(self, model: str) -> int:
        """Return how many chunks of a model wait: of its first owners, which are more than a round needs."""
        pipe = self._redis.pipeline(transaction=False)
        for queue in Queue.all_of(model):
            for owner in self._redis.zrange(waiting_key(queue), 0, _MOST):
                pipe.zcard(pending_key(queue, owner.decode()))
        return sum(pipe.execute())
