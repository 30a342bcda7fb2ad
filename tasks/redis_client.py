"""Connections to Redis whose every wait is finite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from tasks.errors import LedgerUnavailableError
from tasks.settings import Settings

SOCKET_TIMEOUT_S = 1.5
CONNECT_TIMEOUT_S = 1.0


def connect(settings: Settings, *, patience: int = 1) -> redis.Redis:
    """Return a client that repeats a broken command up to `patience` times.

    One repetition mends a pooled connection that Redis closed. Only programs with nobody waiting may have
    more patience: a timeout counts against it too.
    """
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_keepalive=True,
        health_check_interval=0,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), patience, supported_errors=_broken(patience)),
    )


def _broken(patience: int) -> tuple[type[Exception], ...]:
    errors: tuple[type[Exception], ...] = (redis.ConnectionError, OSError)
    return (*errors, redis.TimeoutError) if patience > 1 else errors


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Turn what Redis says into the one error callers act upon: try again later."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise LedgerUnavailableError(str(error)) from error
