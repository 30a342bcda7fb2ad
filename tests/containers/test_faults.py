"""At least 5,000 texts through nginx, while a worker is killed, Redis restarted and the API replaced."""

from __future__ import annotations

import secrets
import time
from itertools import count
from typing import Any

import httpx2
import pytest

from deploy.containers import Project, docker
from samples.composed import composed_texts
from tests.conftest import eventually
from tests.containers.conftest import WORKERS, Caller, answers, start, url

TEXTS = 5_000
JOB_ITEMS = 100
PAUSE_S = 0.4
pytestmark = pytest.mark.timeout(600)


class Load(Caller):
    """A client that submits until the context ends, and repeats failed requests."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.accepted: dict[str, str] = {}  # job ids by idempotency key
        self.repeated = 0

    @property
    def texts(self) -> int:
        return len(self.accepted) * JOB_ITEMS

    def _run(self) -> None:
        for number in count():
            texts = composed_texts(JOB_ITEMS, seed=number)
            body = {"items": [{"id": f"{number}-{i}", "text": text} for i, text in enumerate(texts)]}
            while not self._sent(f"load-{number}", body):
                self.repeated += 1
                if self._stop.wait(PAUSE_S):
                    return
            if self._stop.wait(PAUSE_S):
                return

    def _sent(self, key: str, body: dict[str, Any]) -> bool:
        try:
            answer = self._http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
        except httpx2.TransportError:
            return False
        if answer.status_code == 202:
            self.accepted[key] = answer.json()["id"]
            return True
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        return False


def test_every_accepted_text_has_exactly_one_verdict(stack: Project) -> None:
    with Load(stack) as load:
        eventually(lambda: load.texts >= 10 * JOB_ITEMS, within_s=60)
        docker("kill", stack.containers("worker")[0])
        wait_for_progress(load)
        stack.compose("restart", "redis")
        wait_for_progress(load)
        stack.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "api")
        wait_for_progress(load)
        eventually(lambda: load.texts >= TEXTS, within_s=240)
    assert load.repeated, "no request failed, so the faults had no effect"
    with httpx2.Client(base_url=url(stack), timeout=60, trust_env=False) as http:
        for key, job_id in load.accepted.items():
            check_job(http, key.removeprefix("load-"), job_id)
    assert len(set(load.accepted.values())) == len(load.accepted)
    start(stack)
    eventually(lambda: stack.healthy("worker") == WORKERS, within_s=60)


def wait_for_progress(load: Load) -> None:
    """Wait until three more jobs are accepted."""
    seen = load.texts
    eventually(lambda: load.texts >= seen + 3 * JOB_ITEMS, within_s=120)


def check_job(http: httpx2.Client, number: str, job_id: str) -> None:
    """Check that each item of the job has one verdict, and the id that it was submitted with."""

    def finished() -> dict[str, Any] | None:
        job: dict[str, Any] = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}).json()
        return job if job["finished_at"] else None

    job = eventually(finished, within_s=300)  # the first waits for most of the backlog
    assert job is not None
    assert (job["status"], job["counts"]["succeeded"]) == ("succeeded", JOB_ITEMS)
    items = http.get(f"/v1/jobs/{job_id}/results", params={"limit": 1000}).json()["data"]
    assert [(item["index"], item["id"]) for item in items] == [(i, f"{number}-{i}") for i in range(JOB_ITEMS)]
    assert {item["label"] for item in items} <= {"positive", "negative"}


def test_a_killed_redis_loads_its_data(stack: Project) -> None:
    """Transactions and scripts too, which Redis replays as the user `default`."""
    with httpx2.Client(base_url=url(stack), timeout=60, trust_env=False) as http:
        job = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"Prefer": "wait=20"}).json()
        path = job["links"]["results"]
        before = http.get(path).json()["data"]
        time.sleep(1.5)  # Redis writes its file to disk every second
        docker("kill", *stack.containers("redis"))
        stack.compose("up", "--detach", "--no-build", "redis")
        eventually(lambda: http.get("/readyz").is_success, within_s=60)
        assert http.get(path).json()["data"] == before
    refused = stack.compose("exec", "-T", "redis", "redis-cli", "acl", "log", "100").stdout
    assert "default" not in refused


def test_the_password_of_a_role_can_change_while_it_runs(stack: Project) -> None:
    """Follow docs/operations.md; then change it back for the other tests."""
    old, new = stack.env["REDIS_API_PASSWORD"], secrets.token_urlsafe(18)
    change_password(stack, new, former=old)
    change_password(stack, old, former=new)


def change_password(stack: Project, password: str, former: str) -> None:
    set_user = ("exec", "-T", "redis", "redis-cli", "acl", "setuser", "api")
    stack.compose(*set_user, f">{password}")
    stack.compose("up", "--detach", "--no-build", "--no-deps", "api", REDIS_API_PASSWORD=password)
    stack.compose(*set_user, f"<{former}")
    with httpx2.Client(base_url=url(stack), timeout=60, trust_env=False) as http:
        eventually(lambda: answers(http), within_s=60)
        stack.compose("up", "--detach", "--no-build", "redis", REDIS_API_PASSWORD=password)
        eventually(lambda: answers(http), within_s=60)
        verdict = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"Prefer": "wait=20"})
    assert verdict.status_code == 200
