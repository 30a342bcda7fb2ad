"""Connections to Redis whose every wait is finite."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from tasks.errors import ConfigurationError, StoreUnavailableError, WritesRefusedError
from tasks.redis_connections import BlockingConnectionPool, connection_options
from tasks.redis_url import read_redis_url
from tasks.settings import Settings

# The codes with which Redis refuses writes. An error of a script in Redis 6.2 has the code in its text.
_REFUSALS = ("OOM", "READONLY", "MISCONF", "LOADING", "NOREPLICAS", "MASTERDOWN")
_REFUSAL = re.compile(rf"(?:^|-)(?:{'|'.join(_REFUSALS)})\b")
SOCKET_TIMEOUT_S = 1.5
CONNECT_TIMEOUT_S = 1.0
# A crowd may have to wait for connections longer than Redis for an answer.
POOL_TIMEOUT_S = 3.0
# A peer that went silently is noticed within a minute, not after the two hours of the kernel's default.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}


def connect(settings: Settings, *, patience: int = 1) -> redis.Redis:
    """Return a client that repeats a broken command up to `patience` times.

    One repetition replaces a pooled connection that Redis had closed. Only programs that nobody waits for may
    have more patience: then timeouts are repeated too.
    """
    url = read_redis_url(settings.redis_url.get_secret_value())
    # A socket knows neither: it fails at once.
    tcp = {} if url.path else {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
    pool = BlockingConnectionPool(
        **connection_options(url),
        # Thousands of waiters share these: each holds one for the length of a command only.
        max_connections=32,
        timeout=POOL_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        **tcp,
        retry=Retry(ExponentialBackoff(cap=2, base=0.05), patience, supported_errors=_broken(patience)),
    )
    return redis.Redis.from_pool(pool)


def connect_apart(client: redis.Redis, **options: Any) -> redis.Redis:
    """Return a client with new connections of its own, for one that waits for messages or for the disk.

    The pool of `client` may hold connections that died without being closed. `options` are those in which
    the connections differ.
    """
    pool = client.connection_pool
    return redis.Redis.from_pool(
        redis.ConnectionPool(connection_class=pool.connection_class, **(pool.connection_kwargs | options))
    )


@dataclass(frozen=True, slots=True)
class RedisInfo:
    """The state of a Redis server. `limit_bytes` 0 means no limit; `policy` is its `maxmemory-policy`."""

    used_bytes: int
    limit_bytes: int
    persisting: bool
    clients: int
    policy: str
    evicted: int

    @property
    def evicting(self) -> bool:
        """Return whether it may evict keys, and with them jobs that were accepted."""
        return self.policy != "noeviction"


def redis_info(client: Any) -> RedisInfo:
    """Read the state of a Redis server."""
    with store_errors():
        info: dict[str, Any] = client.info()
    persisting = bool(info["aof_enabled"]) and info["aof_last_write_status"] == "ok"
    return RedisInfo(
        info["used_memory"],
        info["maxmemory"],
        persisting,
        info["connected_clients"],
        info["maxmemory_policy"],
        info["evicted_keys"],
    )


def require_one_redis(client: redis.Redis) -> None:
    """Raise ConfigurationError if the server is a node of a cluster; do nothing if it does not answer."""
    try:
        info: Any = client.info("cluster")
    except (redis.RedisError, OSError):
        return
    if info.get("cluster_enabled"):
        raise ConfigurationError(
            "REDIS_URL names a node in cluster mode; Sentiq needs one Redis, or a primary with replicas"
        )


def _broken(patience: int) -> tuple[type[Exception], ...]:
    errors: tuple[type[Exception], ...] = (redis.ConnectionError, OSError)
    return (*errors, redis.TimeoutError) if patience > 1 else errors


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise StoreUnavailableError for any error of Redis or its connection: callers try again later.

    Raises WritesRefusedError where Redis said that it takes no writes.
    """
    try:
        yield
    except (redis.ResponseError, redis.exceptions.BusyLoadingError) as error:
        kind = WritesRefusedError if _refuses_writes(error) else StoreUnavailableError
        raise kind(str(error)) from error
    except (redis.RedisError, OSError) as error:
        raise StoreUnavailableError(str(error)) from error


def _refuses_writes(error: redis.RedisError) -> bool:
    # redis-py cuts the code off the text of those errors that it has a class for.
    text = str(error).rpartition("of pipeline caused error: ")[2]
    return getattr(error, "status_code", None) in _REFUSALS or bool(_REFUSAL.search(text))
