"""What is wrong with a Redis before anything fails: programs say it when they start."""

from __future__ import annotations

import logging
import time

from tasks.errors import StoreUnavailableError
from tasks.store.connection import redis_info
from tasks.store.jobs import CLOCK_SKEW_MS, JobStore

logger = logging.getLogger(__name__)


def warn_of_risks(store: JobStore) -> None:
    """Log a warning for each risk to accepted jobs; nothing when Redis does not answer yet."""
    try:
        info, ahead_ms = redis_info(store.redis), time.time() * 1000 - store.now_ms()
    except StoreUnavailableError as error:
        logger.warning("cannot look at Redis: %s", error)
        return
    if info.evicting:
        logger.warning(
            "maxmemory-policy of Redis is %s: it evicts accepted jobs when memory is short; set noeviction",
            info.policy,
        )
    if abs(ahead_ms) > CLOCK_SKEW_MS:
        logger.warning(
            "the clock of this host is %.0f s %s that of Redis: lists by time miss jobs",
            abs(ahead_ms) / 1000,
            "ahead of" if ahead_ms > 0 else "behind",
        )


def require_durability(store: JobStore) -> None:
    """Say how accepted work gets to disk where it must. Raises ConfigurationError if it does not.

    Nothing happens when Redis does not answer yet: the first requests are refused then.
    """
    if not store.settings.durable:
        return
    try:
        logger.info("answers wait until the log of Redis is on disk: %s", store.durability.require())
    except StoreUnavailableError as error:
        logger.warning("cannot look at Redis: %s", error)
