"""Heartbeats of workers, as the parent writes them and everybody else reads them."""

from __future__ import annotations

import json

from tasks.store import workers
from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.keys import WORKER_PROCESSES, WORKERS, leases_key

MODEL = {"id": "test", "revision": "1", "engine": "none"}


def beat(store: JobStore, name: str, restarts: int = 0, **traits: int) -> None:
    workers.heartbeat(store, name, children=2, ready=1, model=MODEL | traits, restarts=restarts)


def test_a_heartbeat_says_where_a_worker_runs_and_what_it_serves(store: JobStore) -> None:
    beat(store, "host:4026/77/start")
    (worker,) = workers.live_workers(store)
    assert (worker.host, worker.pid, worker.children, worker.ready) == ("host:4026", 77, 2, 1)
    assert worker.model == MODEL
    assert 0 < worker.alive_until_ms - store.now_ms() <= workers.ALIVE_MS


def test_processes_are_known_and_a_heartbeat_may_have_fields_of_later_versions(store: JobStore) -> None:
    child = workers.ChildStatus(78, ready=True, age_s=5.0, items_per_s=2.5, memory_bytes=2000)
    processes = workers.ProcessStatus(9.5, 1000, {"killed": 1}, [child])
    workers.heartbeat(store, "host/77/a", children=1, ready=1, model=MODEL, processes=processes)
    (worker,) = workers.with_processes(store, workers.live_workers(store))
    assert (worker.processes, worker.memory_bytes) == (processes, 3000)
    written = store.redis.hget(WORKERS, "host/77/a")
    store.redis.hset(WORKERS, "host/77/a", written.replace(b'{"alive', b'{"later":1,"alive'))
    assert workers.with_processes(store, workers.live_workers(store)) == [worker]
    store.redis.hset(WORKER_PROCESSES, "host/77/a", '{"children":[{"later":1}]}')
    (unread,) = workers.with_processes(store, workers.live_workers(store))
    assert (unread.processes, unread.memory_bytes) == (None, 0)
    workers.forget(store, "host/77/a")
    assert not store.redis.exists(WORKERS, WORKER_PROCESSES)


def test_a_heartbeat_has_the_fields_that_earlier_versions_know(store: JobStore) -> None:
    beat(store, "host/1/a")
    written = json.loads(store.redis.hget(WORKERS, "host/1/a"))
    assert set(written) == {"alive_until_ms", "children", "ready", "model"}


def test_who_holds_a_lease_is_known(store: JobStore) -> None:
    store.redis.hset(leases_key("host/77/a"), mapping={"ref 1": "78 5", "ref 2": "78 6", "ref 3": "79 7"})
    assert workers.leasing(store, ["host/77/a", "host/78/b"]) == {"host/77/a": {78, 79}, "host/78/b": set()}


def test_a_worker_that_stopped_reporting_is_known_but_not_alive(store: JobStore) -> None:
    beat(store, "host/1/a")
    beat(store, "host/2/b")
    late = store.redis.hget(WORKERS, "host/1/a").replace(b'"alive_until_ms":1', b'"alive_until_ms":-1')
    store.redis.hset(WORKERS, "host/1/a", late)
    assert {worker.pid for worker in workers.known_workers(store)} == {1, 2}
    assert [worker.pid for worker in workers.live_workers(store)] == [2]


def test_a_model_that_several_workers_serve_is_listed_once(store: JobStore) -> None:
    beat(store, "host/1/a")
    beat(store, "host/2/b")
    assert workers.live_models(store) == [MODEL]


def test_restarts_are_counted_with_the_heartbeat(store: JobStore) -> None:
    beat(store, "host/1/a", restarts=2)
    beat(store, "host/1/a")
    beat(store, "host/1/a", restarts=1)
    assert Counters.read(store).counts["restarted"] == 3


def test_a_worker_that_is_gone_can_be_forgotten(store: JobStore) -> None:
    beat(store, "host/1/a")
    workers.forget(store, "host/1/a")
    workers.forget(store)
    assert workers.known_workers(store) == []


def test_a_heartbeat_of_another_version_is_skipped_and_dropped(store: JobStore) -> None:
    store.redis.hset(
        WORKERS, mapping={"host/9/old": '{"until_ms": 9999999999999, "model": {}}', "host/8/x": "no JSON"}
    )
    beat(store, "host/1/a")
    assert [worker.pid for worker in workers.known_workers(store)] == [1]
    assert workers.live_models(store) == [MODEL]
    workers.forget_silent(store, store.now_ms())
    assert store.redis.hkeys(WORKERS) == [b"host/1/a"]
