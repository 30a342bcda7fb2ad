"""Publishes wake-ups anew that were lost on their way, and drops those that nobody needs."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, UNACKED, pending_key, waiting_key
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.model_names import wakeup_queue

logger = logging.getLogger(__name__)

Publish = Callable[[str, int], None]

# A chunk may wait this long without a wake-up in its queue before that counts as lost: longer while workers
# have messages that they have not acknowledged, since they may be busy or starting. One too many is harmless.
_QUIET_MS, _QUIET_UNACKED_MS = 1_500, 3_000
_INTERVAL_MS = 3_000
_MOST = 500  # wake-ups of one round


class LostWakeups:
    """Looks for models whose chunks wait although no wake-up is left that would bring a child."""

    def __init__(self, store: JobStore, publish: Publish) -> None:
        self._redis = store.redis
        self._publish = publish
        self._republished_ms: dict[str, int] = {}

    def republish(self, model: str, now_ms: int) -> None:
        """Publish wake-ups for the pending chunks of a model if those that it had are lost."""
        queues = Queue.all_of(model)
        oldest = [self._redis.zrange(waiting_key(queue), 0, 0, withscores=True) for queue in queues]
        waiting_since = [owners[0][1] for owners in oldest if owners]
        if not waiting_since or self._redis.llen(wakeup_queue(model)):
            return
        quiet_ms = _QUIET_UNACKED_MS if self._redis.hlen(UNACKED) else _QUIET_MS
        republished_ms = self._republished_ms.get(model, 0)
        if now_ms - min(waiting_since) < quiet_ms or now_ms - republished_ms < _INTERVAL_MS:
            return
        count = min(self._waiting(model), _MOST)
        self._republished_ms[model] = now_ms
        self._redis.hincrby(COUNTERS, "republished", count)
        logger.warning("republished %d lost wake-ups of %s", count, model)
        self._publish(model, count)

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
