"""Connections to Redis that died without a word: one call finds out, and no other has to."""

from __future__ import annotations

import psutil
import pytest
import redis

from tasks.errors import StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import connect
from tasks.store.jobs import JobStore
from tests.conftest import eventually


def idle(*clients: redis.Redis) -> list[redis.Connection]:
    """Return five connections of each client that are open and that nobody uses; none if not all are open."""
    found = []
    for pool in (client.connection_pool for client in clients):
        for connection in [pool.get_connection() for _ in range(5)]:
            pool.release(connection)
        found += pool._get_free_connections()
    # What another test left behind in this process may have met a dead link just now.
    return found if all(connection.is_connected for connection in found) else []


def test_one_call_that_times_out_gives_up_all_idle_connections(store: JobStore, redis_url: str) -> None:
    server = psutil.Process(store.redis.info("server")["process_id"])
    other = connect(Settings(redis_url=redis_url))
    connections = eventually(lambda: idle(store.redis, other))
    assert len(connections) == 10
    server.suspend()
    try:
        with pytest.raises(StoreUnavailableError):
            store.now_ms()
    finally:
        server.resume()
    assert not any(connection.is_connected for connection in connections)
    assert store.now_ms()
