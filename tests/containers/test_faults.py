"""5,000 texts and more through nginx, while a worker is killed, Redis restarted and the API replaced."""

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
A_JOB = 100
PAUSE_S = 0.4
pytestmark = pytest.mark.timeout(600)


class Load(Caller):
    """A client that submits until it is told to stop: what is refused or cut off it sends again."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self.accepted: dict[str, str] = {}  # idempotency keys and the jobs they made
        self.repeated = 0

    @property
    def texts(self) -> int:
        return len(self.accepted) * A_JOB

    def _run(self) -> None:
        for number in count():
            texts = composed_texts(A_JOB, seed=number)
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


def test_every_accepted_text_has_its_verdict_and_none_two(stack: Project) -> None:
    with Load(stack) as load:
        eventually(lambda: load.texts >= 10 * A_JOB, within_s=60)
        docker("kill", stack.containers("worker")[0])
        goes_on(load)
        stack.compose("restart", "redis")
        goes_on(load)
        stack.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "api")
        goes_on(load)
        eventually(lambda: load.texts >= TEXTS, within_s=240)
    assert load.repeated, "none of it was felt: then nothing was tried"
    with httpx2.Client(base_url=url(stack), timeout=60, trust_env=False) as http:
        for key, job_id in load.accepted.items():
            whole(http, key.removeprefix("load-"), job_id)
    assert len(set(load.accepted.values())) == len(load.accepted)
    start(stack)
    eventually(lambda: stack.healthy("worker") == WORKERS, within_s=60)


def goes_on(load: Load) -> None:
    """Wait until a few more jobs were accepted: the fault is over for those who submit."""
    seen = load.texts
    eventually(lambda: load.texts >= seen + 3 * A_JOB, within_s=120)


def whole(http: httpx2.Client, number: str, job_id: str) -> None:
    """Each item of the job has one verdict, under the id that it was sent with."""

    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}).json()
        return job if job["finished_at"] else None

    job = eventually(over, within_s=120)
    assert job is not None
    assert (job["status"], job["counts"]["succeeded"]) == ("succeeded", A_JOB)
    items = http.get(f"/v1/jobs/{job_id}/results", params={"limit": 1000}).json()["data"]
    assert [(item["index"], item["id"]) for item in items] == [(i, f"{number}-{i}") for i in range(A_JOB)]
    assert {item["label"] for item in items} <= {"positive", "negative"}


def test_what_redis_wrote_it_reads_again(stack: Project) -> None:
    """Transactions and scripts as well: Redis reads its log back as the user `default`."""
    with httpx2.Client(base_url=url(stack), timeout=60, trust_env=False) as http:
        job = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"Prefer": "wait=20"}).json()
        path = job["links"]["results"]
        before = http.get(path).json()["data"]
        time.sleep(1.5)  # the log is on disk a second later
        docker("kill", *stack.containers("redis"))
        stack.compose("up", "--detach", "--no-build", "redis")
        eventually(lambda: http.get("/readyz").is_success, within_s=60)
        assert http.get(path).json()["data"] == before
    refused = stack.compose("exec", "-T", "redis", "redis-cli", "acl", "log", "100").stdout
    assert "default" not in refused


def test_the_password_of_a_role_changes_while_it_runs(stack: Project) -> None:
    """As docs/operations.md has it; then back, because the other tests go on with the old one."""
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
