"""How connections reach the Redis of a URL: by TCP, TLS or a Unix socket, or as the primary of Sentinels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from queue import Empty
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from tasks.redis_url import Address, RedisUrl

# Three Sentinels of which two are away are asked in a second.
_SENTINEL_TIMEOUT_S = 0.5


class _FollowsPrimary(redis.Connection):
    """Asks the Sentinels for the primary whenever it connects, so that a failover needs no restart."""

    def __init__(
        self,
        *,
        sentinels: Sequence[Address],
        service: str,
        sentinel_options: Mapping[str, Any],
        **options: Any,
    ) -> None:
        self._sentinels, self._service, self._sentinel_options = sentinels, service, sentinel_options
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def _connect(self) -> Any:
        self.host, self.port = self._primary()
        return super()._connect()  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Return an answer. Raises ConnectionError if the server became a replica: it is asked for anew."""
        try:
            return super().read_response(*args, **options)
        except redis.ReadOnlyError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.ConnectionError("the server is a replica now") from error

    def _primary(self) -> Address:
        """Return the address of the primary. Raises redis.ConnectionError if no Sentinel knows one."""
        asked = Sentinel(self._sentinels, sentinel_kwargs=dict(self._sentinel_options))
        try:
            host, port = asked.discover_master(self._service)
        except redis.ResponseError as error:  # a wrong password, or a server that is no Sentinel
            raise redis.ConnectionError(f"a Sentinel refuses to name the primary: {error}") from error
        finally:
            for sentinel in asked.sentinels:
                sentinel.close()
        return host, port


class _FollowsPrimaryByTls(_FollowsPrimary, redis.SSLConnection):
    """The same with TLS, to the Sentinels too."""


class ConnectionPool(redis.ConnectionPool):
    """Closes the idle connections of all such pools of the process when one broke in use.

    When a link dies silently, all of its connections are dead, and each would cost a call a time-out.
    A connection that could not be made says nothing about those that are open.
    """

    _all: ClassVar[WeakValueDictionary[int, ConnectionPool]] = WeakValueDictionary()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._all[id(self)] = self

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Lend a connection. Raises redis.ConnectionError if none can be made."""
        connection = super().get_connection(*args, **options)
        connection.__dict__["in_use"] = True
        return connection

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        broke = connection.__dict__.pop("in_use", False) and not connection.is_connected
        super().release(connection)
        if broke:
            for pool in filter(None, (ref() for ref in self._all.valuerefs())):
                if pool.pid == os.getpid():  # others are of the process that this one was forked from
                    pool.close_idle()

    def close_idle(self) -> None:
        """Close the connections that are not lent."""
        self.disconnect(inuse_connections=False)


class BlockingConnectionPool(ConnectionPool, redis.BlockingConnectionPool):
    """The same, and waits for a connection when all are in use."""

    def close_idle(self) -> None:
        """Close the connections that are not lent, out of the queue so that no other thread borrows one."""
        taken = []
        with suppress(Empty):
            while True:
                taken.append(self.pool.get_nowait())
        for connection in filter(None, taken):
            connection.disconnect()
        for place in reversed(taken):
            self.pool.put_nowait(place)


def connection_class(url: RedisUrl) -> type[redis.connection.AbstractConnection]:
    """Return the class of the connections that reach a Redis."""
    if url.path:
        return redis.UnixDomainSocketConnection
    if url.sentinels:
        return _FollowsPrimaryByTls if url.tls is not None else _FollowsPrimary
    return redis.SSLConnection if url.tls is not None else redis.Connection


def place(url: RedisUrl) -> dict[str, Any]:
    """Return the options of a connection that say where Redis is."""
    if url.path:
        return {"path": url.path}
    if url.sentinels:
        return {"sentinels": url.sentinels, "service": url.service, "sentinel_options": sentinel_options(url)}
    host, port = url.address or ("", 0)
    return {"host": host, "port": port}


def sentinel_options(url: RedisUrl) -> dict[str, Any]:
    """Return the options of a client of a Sentinel."""
    return {
        **url.sentinel_login,
        **({"ssl": True, **url.tls} if url.tls is not None else {}),
        "socket_timeout": _SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }


def connection_options(url: RedisUrl) -> dict[str, Any]:
    """Return the class and the options of a connection to the Redis of a URL."""
    login = {"username": url.user, "password": url.password}
    return {
        "connection_class": connection_class(url),
        **place(url),
        "db": url.database,
        **{name: value for name, value in login.items() if value},
        **(url.tls or {}),
    }
