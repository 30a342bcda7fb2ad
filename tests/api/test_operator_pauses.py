"""Pausing and resuming over HTTP and with a command; what callers see of it, and how their waits end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import leases, models
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import ChunkResult
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "x", "revision": "1", "engine": "none"}


@dataclass
class Service:
    """A service whose worker is this test; an operator and two callers."""

    operator: httpx2.Client
    anna: httpx2.Client
    ben: httpx2.Client
    anna_id: str
    store: JobStore
    redis_url: str

    def pause(self, target: str, **given: str) -> list[dict[str, Any]]:
        answer = self.operator.post("/v1/admin/pauses", json={"target": target, **given})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    def resume(self, target: str) -> list[dict[str, Any]]:
        answer = self.operator.post("/v1/admin/resumes", json={"target": target})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    def work(self) -> int:
        """Score what can be leased; return how many items."""
        count = 0
        while held := leases.lease(self.store, CHILD, 10**9):
            given = [
                ChunkResult(each.chunk, [rated(0.9, 5, 5)] * len(each.chunk.items), 1) for each in held.chunks
            ]
            count += sum(len(each.chunk.items) for each in held.chunks)
            leases.finish(self.store, held, given, MODEL)
        return count


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url, default_model=MODEL_NAME))
        models.register(store, MODEL_NAME, {"input": "text", "labels": []})
        keys = ApiKeys(store)
        (anna, annas), (_, bens) = (
            keys.create(name, [Scope.SUBMIT, Scope.READ, Scope.CANCEL]) for name in ("anna", "ben")
        )
        _, operators = keys.create("operator", [Scope.OPERATOR])
        log = tmp_path_factory.mktemp("pauses") / "api.log"
        with (
            running_api(redis_url, log, SENTIMENT_MAX_WAIT_S="8") as url,
            client(url, operators) as first,
            client(url, annas) as second,
            client(url, bens) as third,
        ):
            yield Service(first, second, third, anna.id, store, redis_url)


def client(url: str, token: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers=bearer(token), timeout=30)


@pytest.fixture
def service(running: Service) -> Service:
    for pause in running.operator.get("/v1/admin/pauses").json()["data"]:
        running.resume(pause["target"])
    time.sleep(0.6)  # what callers see of pauses is half a second old at most
    running.work()
    return running


def submit(client: httpx2.Client, texts: int = 2, **given: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={"items": [{"text": f"第{i}个"} for i in range(texts)], **given})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def seen(client: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    return dict(client.get(job["links"]["self"]).raise_for_status().json())


def test_an_owner_is_paused_and_resumed(service: Service) -> None:
    before, other = submit(service.anna), submit(service.ben)
    assert before["paused"] is None
    (pause,) = service.pause(f"owner:{service.anna_id}", reason="半天的配额")
    assert pause["items"] == 2
    assert (pause["kind"], pause["name"], pause["reason"]) == ("owner", service.anna_id, "半天的配额")
    after = submit(service.anna)
    assert after["paused"] == {"kind": "owner", "name": service.anna_id, "since": pause["since"]}
    assert after["queue"]["eta_s"] is None
    assert (seen(service.anna, before)["paused"] or {})["kind"] == "owner"
    listed = service.anna.get("/v1/jobs").json()["data"]
    assert [job["paused"] is not None for job in listed if job["id"] in (before["id"], after["id"])] == [
        True
    ] * 2
    assert service.work() == 2, "the other one is served"
    assert seen(service.ben, other)["status"] == "succeeded"
    assert service.ben.get("/v1/queue").json()["paused"] == []
    queue = service.anna.get("/v1/queue").json()
    assert queue["paused"] == [after["paused"]]
    assert queue["classes"]["interactive"]["paused_items"] == 4
    assert queue["classes"]["interactive"]["pending_items"] == 0
    assert service.resume(f"owner:{service.anna_id}") == []
    assert seen(service.anna, before)["paused"] is None
    assert service.work() == 4
    assert seen(service.anna, after)["status"] == "succeeded"


def test_who_paused_what_is_listed_and_audited_once(service: Service) -> None:
    targets = ["class:bulk", f"model:{MODEL_NAME}", f"owner:{service.anna_id}", "owner:"]
    for target in targets:
        service.pause(target)
        service.pause(target, reason="again")
    listed = service.operator.get("/v1/admin/pauses").json()["data"]
    assert [(pause["target"], pause["reason"]) for pause in listed] == [(target, None) for target in targets]
    operator = listed[0]["by"]
    assert {pause["by"] for pause in listed} == {operator}
    for target in reversed(targets):
        service.resume(target)
        service.resume(target)
    found = service.operator.get("/v1/admin/audit", params={"by": operator, "limit": "16"}).json()["data"]
    assert [(entry["action"], entry["detail"]) for entry in reversed(found)] == [
        *((("pause_work", f"{target}{end}")) for target in targets for end in ("", ": again")),
        *((("resume_work", target)) for target in reversed(targets) for _ in range(2)),
    ]
    assert {entry["outcome"] for entry in found} == {"done"}
    assert [entry["key"] for entry in found if "owner:" in entry["detail"]][-1] == service.anna_id


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"target": "class:fast"}, 422, "invalid_request"),
        ({"target": "model:"}, 422, "invalid_request"),
        ({"target": "owner:a\n"}, 422, "invalid_request"),
        ({"target": "class:bulk\n"}, 422, "invalid_request"),
        ({"target": "class:bulk", "reason": "长" * 201}, 422, "invalid_request"),
        ({"target": "class:bulk", "reason": "\x1b[2J"}, 422, "invalid_request"),
        ({"target": "class:bulk", "until": "x"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"target": "model:nobody-has-it"}, 404, "pause_target_not_found"),
        ({"target": "owner:00000000"}, 404, "pause_target_not_found"),
    ],
)
def test_what_cannot_be_paused_is_refused(
    service: Service, body: dict[str, str], status: int, code: str
) -> None:
    answer = service.operator.post("/v1/admin/pauses", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if code == "pause_target_not_found":
        assert body["target"] in answer.json()["detail"]
    else:
        assert answer.json()["errors"][0]["pointer"].strip("/") in (*body, "target")
    assert service.operator.get("/v1/admin/pauses").json()["data"] == []


def test_a_deadline_that_only_the_pause_endangers_is_accepted_and_kept(service: Service) -> None:
    service.pause("class:interactive")
    job = submit(service.anna, deadline_s=2)
    time.sleep(2.2)
    assert seen(service.anna, job)["status"] == "queued"
    assert seen(service.anna, job)["deadline_at"] == job["deadline_at"]
    service.resume("class:interactive")
    moved = seen(service.anna, job)
    assert (moved["deadline_at"] > job["deadline_at"], moved["deadline_s"]) == (True, 2)
    service.work()
    assert seen(service.anna, job)["status"] == "succeeded"


def test_a_wait_for_paused_work_ends_at_once(service: Service) -> None:
    service.pause(f"model:{MODEL_NAME}")
    begun = time.monotonic()
    answer = service.anna.post("/v1/jobs", json={"text": "好"}, headers={"Prefer": "wait=8"})
    assert (answer.status_code, answer.json()["paused"]["kind"]) == (202, "model")
    assert answer.headers["retry-after"] == "5"
    assert time.monotonic() - begun < 7
    assert service.anna.get("/v1/queue").json()["classes"]["interactive"]["accepting"]


def test_a_wait_ends_when_its_work_is_paused(service: Service) -> None:
    with ThreadPoolExecutor() as pool:
        call = pool.submit(service.anna.post, "/v1/jobs", json={"text": "好"}, headers={"Prefer": "wait=8"})
        eventually(lambda: queued(service))
        begun = time.monotonic()
        service.pause("class:interactive")
        answer = call.result()
    assert (answer.status_code, answer.json()["paused"]["kind"]) == (202, "class")
    assert time.monotonic() - begun < 7


def queued(service: Service) -> bool:
    return bool(service.anna.get("/v1/queue").json()["classes"]["interactive"]["pending_items"])


@pytest.mark.parametrize("path", ["/predict", "/predict_batch"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_prediction_of_paused_work_is_refused_and_leaves_nothing(
    service: Service, path: str, when: str
) -> None:
    body = {"text": "好"} if path == "/predict" else {"texts": ["好", "坏"]}
    if when == "before":
        service.pause(f"owner:{service.anna_id}")
    with ThreadPoolExecutor() as pool:
        call = pool.submit(service.anna.post, path, json=body)
        if when == "during":
            eventually(lambda: queued(service))
            service.pause(f"owner:{service.anna_id}")
        answer = call.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "paused")
    assert answer.headers["retry-after"] == "30"
    assert answer.json()["paused"]["name"] == service.anna_id
    assert f"The owner {service.anna_id} is paused" in answer.json()["detail"]
    service.resume(f"owner:{service.anna_id}")
    assert service.work() == 0


def test_the_stream_tells_of_a_pause_and_of_its_end(service: Service) -> None:
    job = submit(service.anna)
    states: list[Any] = []
    with service.anna.stream("GET", job["links"]["events"]) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        states.append(json.loads(next(lines)[6:])["paused"])
        service.pause("class:interactive")
        states.append(json.loads(next(lines)[6:])["paused"])
        service.resume("class:interactive")
        states.append(json.loads(next(lines)[6:])["paused"])
    assert [state and state["kind"] for state in states] == [None, "class", None]


def test_the_metrics_count_paused_items_apart(service: Service) -> None:
    submit(service.anna, 3, priority="bulk")
    assert metric(service, "pending") == 3
    service.pause("class:bulk")
    eventually(lambda: metric(service, "paused") == 3)
    assert metric(service, "pending") == 0
    service.resume("class:bulk")
    eventually(lambda: metric(service, "paused") == 0)


def metric(service: Service, name: str) -> float:
    text = service.anna.get("/metrics").text
    series = f'sentiq_{name}_items{{class="bulk",model="{MODEL_NAME}"}} '
    (line,) = (line for line in text.splitlines() if line.startswith(series))
    return float(line.split()[1])


def test_owners_have_their_paused_items(service: Service) -> None:
    submit(service.anna, 3)
    service.pause(f"owner:{service.anna_id}")
    found = service.operator.get("/v1/admin/owners").json()["data"]
    (anna,) = (owner for owner in found if owner["owner"] == service.anna_id)
    assert (anna["pending_items"], anna["paused_items"], anna["queues"]) == (3, 3, [])


def command(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"REDIS_URL": service.redis_url, "SENTIMENT_DEFAULT_MODEL": MODEL_NAME}
    run = [sys.executable, "-m", "api.admin", *arguments]
    return subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_does_the_same(service: Service) -> None:
    submit(service.anna)
    done = command(service, "pause", "--target", "class:interactive", "--reason", "升级")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:5] == ["target", "since", "by", "items", "reason"]
    assert done.stdout.splitlines()[1].split()[-2:] == ["2", "升级"]
    told = command(service, "pauses", "--json")
    assert json.loads(told.stdout) == service.operator.get("/v1/admin/pauses").json()
    assert "@" in json.loads(told.stdout)["data"][0]["by"]
    assert command(service, "resume", "--target", "class:interactive").returncode == 0
    assert service.work() == 2
    wrong = command(service, "pause", "--target", "model:nobody-has-it")
    assert (wrong.returncode, "model:nobody-has-it" in wrong.stderr) == (1, True)
    wrong = command(service, "pause", "--target", "class:slow")
    assert (wrong.returncode, "--target" in wrong.stderr) == (1, True)


def test_a_resume_wakes_workers_at_once(service: Service) -> None:
    service.pause(f"owner:{service.anna_id}")
    wakeups = f"sentiq.{MODEL_NAME}"
    service.store.redis.delete(wakeups)
    submit(service.anna, 3)
    assert service.store.redis.llen(wakeups) == 0, "nobody is woken for what is paused"
    service.resume(f"owner:{service.anna_id}")
    assert service.store.redis.llen(wakeups) == 1
