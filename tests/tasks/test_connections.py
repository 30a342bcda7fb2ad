"""Connections to Redis that died without a word: one call finds out, and no other has to."""

from __future__ import annotations

import psutil
import pytest

from tasks.errors import StoreUnavailableError
from tasks.store.jobs import JobStore


def test_one_call_that_times_out_gives_up_all_idle_connections(store: JobStore) -> None:
    pool = store.redis.connection_pool
    server = psutil.Process(store.redis.info("server")["process_id"])
    for connection in [pool.get_connection() for _ in range(5)]:
        pool.release(connection)
    idle = pool._get_free_connections()
    assert sum(connection.is_connected for connection in idle) == 5
    server.suspend()
    try:
        with pytest.raises(StoreUnavailableError):
            store.now_ms()
    finally:
        server.resume()
    assert not any(connection.is_connected for connection in idle)
    assert store.now_ms()
    assert sum(connection.is_connected for connection in pool._get_free_connections()) == 1
