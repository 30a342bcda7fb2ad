"""Workers as operators see them: real ones, whose children are killed, load, score and hold leases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.stack import Stack
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.api.test_access import bearer
from tests.conftest import eventually, started_stack, worker_of

TEXTS = [f"第{number}次来，服务很贴心，菜非常好吃" + "，真的" * 30 for number in range(300)]


@dataclass
class Service:
    """A stack with one worker of two children, and an operator."""

    stack: Stack
    http: httpx2.Client

    def worker(self) -> dict[str, Any]:
        answer = self.http.get("/v1/admin/workers")
        assert answer.status_code == 200, answer.text
        (worker,) = answer.json()["data"]
        return dict(worker)

    def ready(self) -> bool:
        return [child["state"] for child in self.worker()["children"]] == ["ready", "ready"]

    def submit(self) -> str:
        body = {"items": [{"text": text} for text in TEXTS], "priority": "bulk"}
        return str(self.http.post("/v1/jobs", json=body).raise_for_status().json()["id"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("workers")
    with started_stack(folder, SENTIMENT_CONCURRENCY="2") as stack:
        store = JobStore.connect(Settings(redis_url=stack.redis_url))
        _, token = ApiKeys(store).create("operator", [Scope.OPERATOR])
        with httpx2.Client(base_url=stack.url, headers=bearer(token), timeout=60) as http:
            service = Service(stack, http)
            eventually(lambda: http.get("/v1/admin/workers").json()["data"] and service.ready(), within_s=120)
            yield service


def test_children_have_their_age_their_memory_and_their_rate(service: Service) -> None:
    worker = service.worker()
    parent = worker_of(service.stack)
    assert (worker["pid"], worker["state"], worker["engine"]) == (parent.pid, "alive", "openvino")
    assert worker["model"] == worker["pack"] == "sentiq-zh-small"
    assert {child["pid"] for child in worker["children"]} == {child.pid for child in parent.children()}
    for each in (worker, *worker["children"]):
        seen = psutil.Process(each["pid"])
        assert each["memory_bytes"] == pytest.approx(seen.memory_info().rss, rel=0.5)
        assert each["age_s"] == pytest.approx(time.time() - seen.create_time(), abs=30)
    assert worker["replaced"] == {"killed": 0, "sick": 0, "not_loaded": 0}
    job_id = service.submit()
    eventually(lambda: any(child["leased"] for child in service.worker()["children"]))
    eventually(lambda: service.http.get(f"/v1/jobs/{job_id}").json()["status"] == "succeeded", within_s=120)
    eventually(lambda: service.worker()["items_per_s"] > 0)
    eventually(lambda: not any(child["leased"] for child in service.worker()["children"]))
    finished = sum(child["items_per_s"] * child["age_s"] for child in service.worker()["children"])
    assert finished <= 1.5 * len(TEXTS), "no child counts what another finished"


def test_a_killed_child_is_replaced_and_counted(service: Service) -> None:
    before = service.worker()
    victim = before["children"][0]["pid"]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: sum(service.worker()["replaced"].values()) == 1, within_s=60)
    after = service.worker()
    assert after["replaced"] == {"killed": 1, "sick": 0, "not_loaded": 0}
    assert victim not in {child["pid"] for child in after["children"]}
    eventually(service.ready, within_s=120)


def test_the_command_prints_a_row_for_each_child(service: Service) -> None:
    env = os.environ | {"REDIS_URL": service.stack.redis_url}

    def run(*options: str) -> str:
        command = [sys.executable, "-m", "api.admin", "workers", *options]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True).stdout

    (worker,) = json.loads(run("--json"))["data"]
    assert worker.keys() == service.worker().keys()
    header, *rows = run().splitlines()
    assert header.split()[:6] == ["host", "worker", "worker_state", "model", "replaced", "child"]
    assert len(rows) == 2
    for row, child in zip(rows, worker["children"], strict=True):
        assert {str(worker["pid"]), "sentiq-zh-small", str(child["pid"]), "ready"} <= set(row.split())


def test_the_memory_of_workers_is_a_metric(service: Service) -> None:
    worker = service.worker()
    total = sum(each["memory_bytes"] for each in (worker, *worker["children"]))
    text = service.http.get("/metrics").text
    (line,) = (line for line in text.splitlines() if line.startswith("sentiq_workers_memory_bytes{"))
    assert float(line.split()[-1]) == pytest.approx(total, rel=0.2)


def test_a_worker_without_heartbeats_is_silent(tmp_path: Path) -> None:
    with started_stack(tmp_path, SENTIMENT_CONCURRENCY="1") as stack:
        store = JobStore.connect(Settings(redis_url=stack.redis_url))
        _, token = ApiKeys(store).create("operator", [Scope.OPERATOR])
        with httpx2.Client(base_url=stack.url, headers=bearer(token), timeout=60) as http:

            def states() -> list[str]:
                return [worker["state"] for worker in http.get("/v1/admin/workers").json()["data"]]

            eventually(lambda: states() == ["alive"], within_s=120)
            worker_of(stack).suspend()
            try:
                eventually(lambda: states() == ["silent"], within_s=60)
            finally:
                worker_of(stack).resume()
            eventually(lambda: states() == ["alive"])
