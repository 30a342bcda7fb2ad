"""The limits of a key replace those of the service, change while it runs, and refusals name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from pydantic_core import to_json

from api.auth.api_keys import ApiKeys
from api.auth.key_bodies import KeyPatchIn
from api.auth.rate_limit import rate_of
from api.auth.scopes import Scope
from local.redis_server import redis_server
from tasks.errors import TooManyJobsError
from tasks.settings import Settings
from tasks.store import cancel, models, uploads
from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.keys import PREFIX, job_key
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Terms
from tasks.vocabulary.key_limits import KeyLimits
from tests.api.test_access import bearer, running_api
from tests.conftest import MODEL_NAME, eventually
from tests.webhooks.jobs import GOOD, finish

SCOPES = (Scope.SUBMIT, Scope.READ, Scope.CANCEL)
LINES = {"content-type": "application/x-ndjson"}


@dataclass
class Service:
    """A service that asks for keys and has no worker, so that nothing finishes by itself."""

    url: str
    store: JobStore
    keys: ApiKeys

    def client(self, **limits: Any) -> tuple[httpx2.Client, str]:
        key, token = self.keys.create("x", SCOPES, limits=KeyLimits(**limits))
        client = httpx2.Client(base_url=self.url, headers=bearer(token), timeout=30, trust_env=False)
        eventually(lambda: client.get("/v1/info").status_code != 401)
        return client, key.id

    def limit(self, key_id: str, **limits: Any) -> None:
        self.keys.change(key_id, KeyPatchIn.model_validate_json(to_json({"limits": limits})).applied)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with redis_server() as redis_url:
        store = JobStore.connect(Settings(redis_url=redis_url))
        keys = ApiKeys(store)
        keys.create("first", SCOPES)
        for model in (MODEL_NAME, "other"):
            models.register(store, model, {})
        log = tmp_path_factory.mktemp("limits") / "api.log"
        with running_api(redis_url, log) as url:
            yield Service(url, store, keys)


def submit(client: httpx2.Client, items: int = 1, **terms: Any) -> httpx2.Response:
    return client.post("/v1/jobs", json={"items": [{"text": "服务很贴心"}] * items, **terms})


def refusal(answer: httpx2.Response, status: int) -> tuple[str, Any]:
    assert answer.status_code == status, answer.text
    problem = answer.json()
    limit = problem["limit"]
    assert f"{limit['name']} of this {limit['of']} is " in problem["detail"]
    assert (status == 429) is ("retry-after" in answer.headers)
    return problem["code"], limit


def test_a_key_may_have_another_rate_than_others(service: Service) -> None:
    slow, key_id = service.client(rate=0.5, burst=3)
    plain, _ = service.client()
    answers = [slow.get("/v1/queue") for _ in range(5)]
    code, limit = refusal(answers[-1], 429)
    assert (code, limit) == ("rate_limited", {"name": "rate", "value": 0.5, "of": "key"})
    assert {plain.get("/v1/queue").status_code for _ in range(20)} == {200}
    service.limit(key_id, rate=None, burst=None)
    eventually(lambda: slow.get("/v1/queue").status_code == 200, within_s=5)
    assert {slow.get("/v1/queue").status_code for _ in range(20)} == {200}


def test_a_rate_is_kept_whatever_the_burst_and_the_service_counts_the_slowest(service: Service) -> None:
    assert rate_of(KeyLimits(rate=5000), service.store.settings) == (5000, 5000)
    assert rate_of(KeyLimits(rate=5000, burst=10), service.store.settings) == (5000, 10)
    slowest, _ = service.client(rate=0.001, burst=10**9)
    assert slowest.get("/v1/queue").status_code == 200


def test_a_key_may_have_fewer_unfinished_items_and_more_later(service: Service) -> None:
    client, key_id = service.client(max_pending_items=3)
    assert submit(client, 3).status_code == 202
    code, limit = refusal(submit(client, 1), 429)
    assert (code, limit) == ("quota_exceeded", {"name": "max_pending_items", "value": 3, "of": "key"})
    service.limit(key_id, max_pending_items=10)
    eventually(lambda: submit(client, 1).status_code == 202, within_s=5)


def test_a_key_may_have_so_many_unfinished_jobs(service: Service) -> None:
    client, key_id = service.client(max_concurrent_jobs=2)
    made = [
        submit(client, 2).json()["id"],
        client.post("/v1/jobs", content=b'"a"\n', headers=LINES).json()["id"],
    ]
    for answer in (submit(client), client.post("/v1/jobs", content=b'"b"\n', headers=LINES)):
        code, limit = refusal(answer, 429)
        assert (code, limit) == ("too_many_jobs", {"name": "max_concurrent_jobs", "value": 2, "of": "key"})
    assert Counters.read(service.store).counts["refused:too_many_jobs"] == 2
    assert client.post(f"/v1/jobs/{made[0]}/cancel").json()["status"] == "canceled"
    made.append(submit(client).json()["id"])
    refusal(submit(client), 429)
    assert client.delete(f"/v1/jobs/{made[1]}").status_code == 204
    assert submit(client).status_code == 202
    service.limit(key_id, max_concurrent_jobs=3)
    eventually(lambda: submit(client).status_code == 202, within_s=5)


def test_a_key_may_name_some_models_and_classes(service: Service) -> None:
    client, key_id = service.client(models=(MODEL_NAME,), classes=("bulk",))
    small = submit(client).json()
    assert small["priority"] == "bulk", "it names no class, and gets one that it may have"
    code, limit = refusal(submit(client, priority="interactive"), 403)
    assert (code, limit) == ("class_not_allowed", {"name": "classes", "value": ["bulk"], "of": "key"})
    code, limit = refusal(submit(client, model="other"), 403)
    assert (code, limit) == ("model_not_allowed", {"name": "models", "value": [MODEL_NAME], "of": "key"})
    refusal(submit(client, compare_with="other"), 403)
    refusal(client.post("/v1/jobs?model=other", content=b'"a"\n', headers=LINES), 403)
    refusal(client.post("/v1/jobs?priority=interactive", content=b'"a"\n', headers=LINES), 403)
    service.limit(key_id, models=None, classes=["interactive"])
    eventually(lambda: submit(client, model="other").status_code == 202, within_s=5)
    upload = client.post("/v1/jobs", content=b'"a"\n', headers=LINES)
    assert upload.json()["priority"] == "interactive"


def test_a_retry_is_under_the_limits_too(service: Service) -> None:
    client, key_id = service.client()
    job_id = submit(client).json()["id"]
    service.store.redis.hset(job_key(job_id), "deadline", 1)
    cancel.expire_chunks(service.store, job_id, ItemError.WORKER_LOST)
    service.limit(key_id, models=["other"])
    eventually(lambda: client.post(f"/v1/jobs/{job_id}/retry").status_code == 403, within_s=5)


def test_info_shows_a_key_its_limits_and_those_of_the_service(service: Service) -> None:
    client, key_id = service.client(rate=7, max_concurrent_jobs=4, models=("a", "b"))
    shown = client.get("/v1/info").json()["key"]
    assert (shown["id"], shown["name"], shown["scopes"]) == (key_id, "x", ["submit", "read", "cancel"])
    assert shown["limits"] == {
        "rate": 7,
        "burst": 2000,
        "max_pending_items": 1_000_000,
        "max_concurrent_jobs": 4,
        "models": ["a", "b"],
        "classes": None,
    }


def test_open_jobs_are_counted_out_however_they_end(store: JobStore) -> None:
    """Also those whose records are gone without a word."""
    terms = Terms(owner="anna", model=MODEL_NAME, limits=KeyLimits(max_concurrent_jobs=1))

    def created() -> str:
        job_id = store.ids.issue("anna")
        store.create(job_id, terms, [Chunk(job_id, 0, [Item.accept("很好", 99)])])
        return job_id

    def is_open() -> list[bytes]:
        return list(store.redis.smembers(f"{PREFIX}open_jobs:anna"))

    created()
    finish(store, [GOOD])
    assert is_open() == []
    cancel.cancel_job(store, created())
    assert is_open() == []
    cancel.delete_job(store, created(), "anna")
    assert is_open() == []
    feed, job_id = Feed.begin("5eed", resumable=True), store.ids.issue("anna")
    store.create(job_id, terms, [Chunk(job_id, 0, [Item.accept("很好", 99)])], feed=feed)
    finish(store, [GOOD])
    assert is_open() == [job_id.encode()], "more may come"
    uploads.close(store, job_id, feed=feed)
    assert is_open() == []
    lost = created()
    store.redis.delete(f"{PREFIX}job:{lost}")
    assert is_open() == [lost.encode()]
    found = created()
    assert is_open() == [found.encode()]
    # As a program of an earlier version leaves it, which does not know the set.
    store.redis.hset(job_key(found), "finished", 1)
    assert is_open() != [created().encode()]
    assert len(is_open()) == 1


def test_many_open_jobs_are_not_all_looked_at(store: JobStore) -> None:
    """The limit of a key may be set below what it has."""
    terms = Terms(owner="anna", model=MODEL_NAME, limits=KeyLimits(max_concurrent_jobs=1))
    store.redis.sadd(f"{PREFIX}open_jobs:anna", *range(500))
    for left in (400, 300):
        with pytest.raises(TooManyJobsError):
            store.create(store.ids.issue("anna"), terms, [])
        assert store.redis.scard(f"{PREFIX}open_jobs:anna") == left
