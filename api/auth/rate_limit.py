"""Limits the requests of a caller: a rate in the long run, and a burst at once."""

from __future__ import annotations

import math
import random
import time

from limits import RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.auth.caller import Caller
from api.http.problems import Problem, limit_view, words
from tasks.errors import Limit, WritesRefusedError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.counters import increment
from tasks.store.jobs import JobStore
from tasks.store.keys import RATES
from tasks.vocabulary.key_limits import KeyLimits


class _Storage(RedisStorage):
    """Counts in Redis; the library's own would load valkey too where that is installed, 2 MB a process."""

    DEPENDENCIES = {"redis": None}  # noqa: RUF012  as the library declares it


class RateLimiter:
    """Counts requests in Redis, so that all API processes share a limit; one round trip a request."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        pool = store.redis.connection_pool
        # The pool knows where Redis is; of the URL only the scheme is read.
        storage = _Storage("redis://", connection_pool=pool, key_prefix=RATES)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._settings = settings
        self._store = store

    def count(self, caller: Caller) -> None:
        """Count a request. Raises the 429 if the caller is over its limit."""
        rate, burst = rate_of(caller.limits, self._settings)
        # `burst` requests in any window of this length make `rate` on average.
        item = RateLimitItemPerSecond(burst, max(1, round(burst / rate)))
        try:
            with store_errors():
                if self._limiter.hit(item, caller.identity):
                    return
                window = self._limiter.get_window_stats(item, caller.identity)
        except WritesRefusedError:
            return  # what is there may be read
        reset_s = window.reset_time - time.time()
        increment(self._store, "refused:rate_limited")
        whose = "This key" if caller.owner else "This address"
        own = caller.limits.rate is not None or caller.limits.burst is not None
        limit = Limit("rate", rate, "key" if own else "service")
        detail = f"{whose} may send {rate:g} requests a second, and {burst} at once.{words(limit)}"
        # The random part keeps callers from coming back at the same moment.
        retry_after_s = math.ceil(max(0.0, reset_s) + random.uniform(0, 2))  # noqa: S311  no secret
        raise Problem(
            429, "rate_limited", detail, limit=limit_view(limit), retry_after_s=max(1, retry_after_s)
        )


def rate_of(limits: KeyLimits, settings: Settings) -> tuple[float, int]:
    """Return the requests a second, and those at once, that a caller with these limits may send.

    A window is a second at least, so a rate above the burst of the service brings its own with it.
    """
    rate = limits.rate or settings.rate_per_s
    return rate, limits.burst or max(settings.rate_burst, math.ceil(rate))
