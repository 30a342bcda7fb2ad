"""Jobs, failures and replays of all owners: found, counted first, replayed for their owners, once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import models
from tasks.store.all_jobs import JobFilter, page
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME
from tests.webhooks.jobs import GOOD, finish

LOST, FAILED = ItemError.WORKER_LOST, ItemError.INFERENCE_FAILED


@dataclass
class Service:
    """A service whose worker is this test, an operator, and two owners with failed jobs."""

    http: httpx2.Client
    store: JobStore
    anna: str
    ben: str
    jobs: list[str]
    redis_url: str

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/admin/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def replay(self, **body: Any) -> dict[str, Any]:
        answer = self.http.post("/v1/admin/replays", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def ended(store: JobStore, owner: str, *outcomes: Outcome) -> str:
    job_id = store.ids.issue(owner)
    items = [Item.accept(f"第{i}个", 99, data=b'{"n":1}') for i in range(len(outcomes))]
    store.create(job_id, Terms(owner=owner, queue_class=QueueClass.BULK), [Chunk(job_id, 0, items)])
    finish(store, outcomes)
    return job_id


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url, default_model=MODEL_NAME))
        models.register(store, MODEL_NAME, {"input": "text"})
        keys = ApiKeys(store)
        (anna, _), (ben, _) = (keys.create(name, [Scope.READ]) for name in ("anna", "ben"))
        jobs = [
            ended(store, anna.id, GOOD, LOST, FAILED),
            ended(store, ben.id, LOST, LOST),
            ended(store, anna.id, GOOD),
            ended(store, ben.id, ItemError.EMPTY_TEXT),
        ]
        _, token = keys.create("operator", [Scope.OPERATOR])
        log = tmp_path_factory.mktemp("jobs") / "api.log"
        with (
            running_api(redis_url, log) as url,
            httpx2.Client(base_url=url, headers=bearer(token), timeout=30) as http,
        ):
            yield Service(http, store, anna.id, ben.id, jobs, redis_url)


def test_jobs_of_all_owners_are_listed_newest_first_and_filtered(service: Service) -> None:
    first = service.get("jobs", limit="3")
    assert [job["id"] for job in first["data"]] == service.jobs[:0:-1]
    rest = service.get("jobs", limit="3", cursor=first["next_cursor"])
    assert [job["id"] for job in rest["data"]] == service.jobs[:1]
    assert rest["next_cursor"] is None
    (job,) = rest["data"]
    assert (job["owner"], job["name"], job["status"]) == (service.anna, "anna", "partial")
    assert job["errors"] == {"inference_failed": 1, "worker_lost": 1}
    mine = service.get("jobs", owner=service.ben, status="failed")["data"]
    assert [job["id"] for job in mine] == [service.jobs[3], service.jobs[1]]
    for query in (
        {"model": "other"},
        {"priority": "interactive"},
        {"created_before": "2020-01-01T00:00:00Z"},
    ):
        assert service.get("jobs", **query)["data"] == []
    refused = service.http.get("/v1/admin/jobs", params={"cursor": "job_1"})
    assert refused.status_code == 422


def test_failures_are_counted_by_code(service: Service) -> None:
    found = service.get("failures")
    assert [job["id"] for job in found["data"]] == [service.jobs[3], service.jobs[1], service.jobs[0]]
    assert found["errors"] == {"empty_text": 1, "inference_failed": 1, "worker_lost": 3}
    some = service.get("failures", code="inference_failed")
    assert [job["id"] for job in some["data"]] == [service.jobs[0]]
    assert [job["owner"] for job in service.get("failures", owner=service.ben)["data"]] == [service.ben] * 2


def test_a_replay_counts_first_and_keeps_the_owner_and_happens_once(service: Service) -> None:
    dry = service.replay()
    assert (dry["dry_run"], dry["items"]) == (True, 4), "empty texts stay empty"
    assert [(each["job"], each["items"], each["replay"]) for each in dry["data"]] == [
        (service.jobs[1], 2, None),
        (service.jobs[0], 2, None),
    ]
    assert len(service.get("jobs")["data"]) == len(service.jobs)
    done, again = (service.replay(dry_run=False, code="worker_lost") for _ in range(2))
    assert done["items"] == 3
    assert [each["replay"] for each in done["data"]] == [each["replay"] for each in again["data"]]
    for each, owner in zip(done["data"], (service.ben, service.anna), strict=True):
        replay = service.store.job(each["replay"], owner)
        assert (replay.terms.owner, replay.terms.retry_of) == (owner, each["job"])
        assert replay.counts.total == each["items"]
        assert each["refused"] is None
    audited = service.get("audit", action="replay_job")["data"]
    assert {(entry["job"], entry["key"], entry["outcome"]) for entry in audited} == {
        (service.jobs[1], service.ben, "done"),
        (service.jobs[0], service.anna, "done"),
    }


def test_a_replay_that_is_refused_says_why(service: Service) -> None:
    models.retire(service.store, MODEL_NAME)
    done = service.replay(dry_run=False, owner=service.anna)
    assert [each["replay"] for each in done["data"]] == [None]
    assert done["data"][0]["refused"] is not None
    assert service.get("audit", action="replay_job")["data"][0]["outcome"] == done["data"][0]["refused"]


@pytest.mark.parametrize("ids_of_each", [3, 100])
def test_many_owners_are_merged_in_the_order_of_time(
    store: JobStore, monkeypatch: pytest.MonkeyPatch, ids_of_each: int
) -> None:
    monkeypatch.setattr("tasks.store.all_jobs._MIN_OF_EACH", 1)
    monkeypatch.setattr("tasks.store.all_jobs._MAX_IDS", 7 * ids_of_each)
    made = []
    for number in range(30):
        owner = f"{number % 7:08}"
        job_id = store.ids.issue(owner)
        store.create(job_id, Terms(owner=owner, model=MODEL_NAME), [Chunk(job_id, 0, [Item.accept("好", 9)])])
        made.append(job_id)
    found: list[str] = []
    cursor: str | None = None
    while True:
        jobs, cursor = page(store, JobFilter(), cursor, 4, charge=lambda: None)
        found += [job.id for job in jobs]
        if cursor is None:
            break
    assert found == sorted(made, reverse=True)


def command(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"REDIS_URL": service.redis_url, "SENTIMENT_DEFAULT_MODEL": MODEL_NAME}
    run = [sys.executable, "-m", "api.admin", *arguments]
    return subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=False)


def told(service: Service, *arguments: str) -> dict[str, Any]:
    done = command(service, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_command_tells_what_the_calls_answer_and_replays(service: Service) -> None:
    assert told(service, "jobs", "--limit", "2") == service.get("jobs", limit="2")
    assert told(service, "failures", "--code", "worker_lost") == service.get("failures", code="worker_lost")
    assert told(service, "usage", "--by", "model") == service.get("usage", by="model")
    assert told(service, "replays") == service.replay()
    assert told(service, "owners") == service.get("owners")
    table = command(service, "jobs", "--owner", service.anna).stdout.splitlines()
    assert table[0].split()[:3] == ["id", "owner", "name"]
    assert [line.split()[0] for line in table[1:]] == [service.jobs[2], service.jobs[0]]
    assert "inference_failed=1 worker_lost=1" in table[2]
    done = told(service, "replays", "--owner", service.ben, "--submit")
    (each,) = done["data"]
    assert service.store.job(each["replay"], service.ben).terms.retry_of == service.jobs[1]
    for action in ("replay_job", "replay_failures"):
        entry = service.get("audit", action=action)["data"][0]
        assert (entry["address"], "@" in entry["by"]) == ("command line", True)


def test_the_command_names_the_option_that_is_wrong(service: Service) -> None:
    for option, value in (
        ("--limit", "0"),
        ("--code", "nope"),
        ("--created-after", "soon"),
        ("--cursor", "x"),
    ):
        done = command(service, "failures", option, value)
        assert done.returncode == 1
        assert f"{option}: " in done.stderr
    reversed_days = command(service, "usage", "--from", "2026-01-02", "--to", "2026-01-01")
    assert "2026-01-02 is behind 2026-01-01" in reversed_days.stderr


def test_owners_have_shares_by_weight_and_what_they_keep(service: Service) -> None:
    ApiKeys(service.store).weigh(service.ben, 3)
    for owner, items in ((service.anna, 4), (service.ben, 2)):
        job_id = service.store.ids.issue(owner)
        chunk = Chunk(job_id, 0, [Item.accept("好", 9)] * items)
        service.store.create(job_id, Terms(owner=owner, queue_class=QueueClass.BULK), [chunk])
    anna, ben = service.get("owners")["data"]
    assert [(each["name"], each["pending_items"], each["open_jobs"]) for each in (anna, ben)] == [
        ("anna", 4, 1),
        ("ben", 2, 1),
    ]
    assert (anna["weight"], ben["weight"]) == (1.0, 3.0)
    assert [(queue["priority"], queue["items"], queue["share"]) for queue in anna["queues"]] == [
        ("bulk", 4, 0.25)
    ]
    assert [(queue["items"], queue["share"]) for queue in ben["queues"]] == [(2, 0.75)]
    assert anna["kept_bytes"] > 0
    table = command(service, "owners").stdout.splitlines()
    assert [line.split()[:2] for line in table[1:]] == [[service.anna, "anna"], [service.ben, "ben"]]
    assert "items=4 share=0.25 eta_s=" in table[1]


def test_a_page_reads_a_bounded_number_of_bytes(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.store.all_jobs._MAX_READ_BYTES", 50_000)
    made = []
    for _ in range(10):
        job_id = store.ids.issue("")
        terms = Terms(model=MODEL_NAME, metadata={f"k{n}": "好" * 333 for n in range(16)})
        store.create(job_id, terms, [Chunk(job_id, 0, [Item.accept("好", 9)])])
        made.append(job_id)
    first, cursor = page(store, JobFilter(), None, 100, charge=lambda: None)
    assert 2 <= len(first) <= 5
    assert cursor == first[-1].id
    found = [job.id for job in first]
    while cursor:
        jobs, cursor = page(store, JobFilter(), cursor, 100, charge=lambda: None)
        found += [job.id for job in jobs]
    assert found == made[::-1]
