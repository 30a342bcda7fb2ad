"""What a container's probe asks of the worker: see worker/health.py."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from local.processes import ROOT
from local.stack import Stack
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.workers import WorkerStatus, heartbeat
from tests.conftest import eventually, worker_of
from worker.health import check, trouble
from worker.process.fork_state import host_id


def probe(redis_url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker.health"]
    env = os.environ | {"REDIS_URL": redis_url}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("ready", "reason"),
    [([], "its parent does not report"), ([0], "no child is ready"), ([0, 1], ""), ([2], "")],
)
def test_a_worker_is_healthy_when_its_last_heartbeat_has_a_ready_child(ready: list[int], reason: str) -> None:
    workers = [WorkerStatus(f"host/{pid}/start", 2, each, {}, 1) for pid, each in enumerate(ready)]
    assert trouble(workers) == reason


def test_a_host_of_several_packs_is_healthy_when_each_has_a_ready_child(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PACKS", "a=/a,b:2=/b")
    store = JobStore.connect(Settings.read())
    heartbeat(store, f"{host_id()}/1/a", children=1, ready=1, model={"name": "a"})
    heartbeat(store, "elsewhere/1/b", children=1, ready=1, model={"name": "b"})
    assert check(store) == "b: its parent does not report"
    heartbeat(store, f"{host_id()}/2/b", children=1, ready=0, model={"name": "b"})
    assert check(store) == "b: no child is ready"
    heartbeat(store, f"{host_id()}/2/b", children=1, ready=1, model={"name": "b"})
    assert check(store) == ""


def test_a_worker_whose_loop_stands_still_is_not_well(live: Stack) -> None:
    eventually(lambda: probe(live.redis_url).returncode == 0)
    worker: psutil.Process = worker_of(live)
    worker.suspend()
    try:
        eventually(lambda: probe(live.redis_url).returncode == 1, within_s=60)
    finally:
        worker.resume()
    eventually(lambda: probe(live.redis_url).returncode == 0, within_s=60)


def test_a_probe_fails_where_redis_does_not_answer() -> None:
    done = probe("redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert done.stderr.startswith("worker: ")
