"""Limits the requests of a caller: `rate_per_s` in the long run, `rate_burst` at once."""

from __future__ import annotations

import math
import random
import time

from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.auth.caller import Caller
from api.http.problems import Problem
from tasks.errors import WritesRefusedError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.counters import increment
from tasks.store.jobs import JobStore
from tasks.store.keys import RATES


class RateLimiter:
    """Counts requests in Redis, so that all API processes share a limit; one round trip a request."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        pool = store.redis.connection_pool
        url = settings.redis_url.get_secret_value()
        storage = RedisStorage(url, connection_pool=pool, key_prefix=RATES)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        # `rate_burst` requests in any window of this length make `rate_per_s` on average.
        window_s = max(1, round(settings.rate_burst / settings.rate_per_s))
        self._limit = RateLimitItemPerSecond(settings.rate_burst, window_s)
        self._settings = settings
        self._store = store

    def count(self, caller: Caller) -> None:
        """Count a request. Raises the 429 if the caller is over the limit."""
        try:
            with store_errors():
                if self._limiter.hit(self._limit, caller.identity):
                    return
                window = self._limiter.get_window_stats(self._limit, caller.identity)
        except WritesRefusedError:
            return  # what is there may be read
        reset_s = window.reset_time - time.time()
        increment(self._store, "refused:rate_limited")
        whose = "This key" if caller.owner else "This address"
        detail = (
            f"{whose} may send {self._settings.rate_per_s} requests a second, "
            f"and {self._settings.rate_burst} at once."
        )
        # The random part keeps callers from coming back at the same moment.
        retry_after_s = math.ceil(max(0.0, reset_s) + random.uniform(0, 2))  # noqa: S311  no secret
        raise Problem(429, "rate_limited", detail, retry_after_s=max(1, retry_after_s))
