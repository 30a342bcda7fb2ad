"""Connections to Redis that died without a word: one call finds out, and no other has to."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
import redis
from pydantic import SecretStr

from local.ports import free_port
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
    other = connect(Settings(redis_url=SecretStr(redis_url)))
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


def test_a_connection_that_cannot_be_made_leaves_the_open_ones_alone(store: JobStore) -> None:
    def others() -> list[redis.Connection]:
        connections = idle(store.redis)
        nowhere = connect(Settings(redis_url=SecretStr(f"redis://127.0.0.1:{free_port()}/0")), patience=0)
        with pytest.raises(redis.ConnectionError):
            nowhere.ping()
        return [connection for connection in connections if connection.is_connected]

    assert len(eventually(others)) == 5


def test_a_connection_that_is_being_closed_is_lent_to_no_other_thread(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket would be gone in that thread's hands: an error that is none of Redis."""
    pool: Any = store.redis.connection_pool
    connection = eventually(lambda: idle(store.redis))[0]
    close: Any = connection.disconnect
    could_be_lent = []

    def disconnect() -> None:
        could_be_lent.append(connection in pool.pool.queue)
        close()

    monkeypatch.setattr(connection, "disconnect", disconnect)
    pool.close_idle()
    assert could_be_lent == [False]
    assert connection in pool.pool.queue
