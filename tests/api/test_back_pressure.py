"""What a full service answers, and what it reports of its backlog."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import httpx2
import pytest

from api.waiting.backlog_cache import BacklogCache
from local.stack import Stack
from tasks.store.jobs import JobStore
from tasks.store.keys import WEIGHTS, backlog_key
from tasks.store.models import Models
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import Job, Queue, QueueClass, Terms
from tests.api.test_access import bearer, keys, made, running_api
from tests.conftest import MODEL_NAME, eventually, started_stack, worker_of

FIELDS = {"pending_items", "deferred_items", "paused_items", "items_per_s", "wait_s", "accepting"}


def test_queues_are_told_by_class(http: httpx2.Client) -> None:
    told = http.get("/v1/queue").raise_for_status().json()
    assert set(told["classes"]) == {"interactive", "bulk"}
    assert all(set(queue) == FIELDS for queue in told["classes"].values())
    assert told["workers"]["alive"] == 1
    assert told["workers"]["children"] >= 1
    eventually(lambda: not http.get("/v1/queue").json()["classes"]["interactive"]["pending_items"])


def test_a_job_knows_its_place_and_loses_it_when_it_is_over(
    redis_url: str, tmp_path: Path, reviews: list[dict[str, str]]
) -> None:
    items = [{"text": review["text"]} for review in reviews]
    # The job waits for the model that the worker below is to serve.
    settings = {"AUTH": "none", "SENTIMENT_DEFAULT_MODEL": "sentiq-zh-small"}
    with running_api(redis_url, tmp_path / "api.log", **settings) as url, httpx2.Client(base_url=url) as api:
        first, second = (api.post("/v1/jobs", json={"items": items}).json() for _ in range(2))
        assert first["queue"] == {"items_ahead": 0, "eta_s": None, "workers": 0}
        assert second["queue"] == {"items_ahead": len(items), "eta_s": None, "workers": 0}
        assert api.get("/v1/queue").json()["classes"]["bulk"]["pending_items"] == 2 * len(items)
        assert api.get("/v1/queue").json()["workers"] == {"alive": 0, "children": 0}
    with started_stack(tmp_path, redis_url=redis_url) as stack, httpx2.Client(base_url=stack.url) as api:

        def over() -> bool:
            job = api.get(second["links"]["self"]).json()
            return job["queue"] is None and job["poll_after_ms"] is None and job["status"] == "succeeded"

        eventually(over)
        eventually(lambda: api.get("/v1/queue").json()["classes"]["bulk"]["pending_items"] == 0)


def test_the_rate_and_what_waits_say_when_to_poll(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    texts = [f"{review['text']}{i}" for i in range(5) for review in reviews]
    with started_stack(tmp_path) as stack, httpx2.Client(base_url=stack.url, timeout=30) as api:
        jobs = [api.post("/v1/jobs", json={"items": [{"text": text} for text in texts]}) for _ in range(4)]
        path = jobs[-1].json()["links"]["self"]

        def told() -> dict[str, float] | None:
            job = api.get(path).json()
            return {"poll_after_ms": job["poll_after_ms"], **job["queue"]} if job["queue"]["eta_s"] else None

        seen = eventually(told) or {}
        queue = api.get("/v1/queue").json()["classes"]["bulk"]
        assert queue["items_per_s"] > 0
        assert queue["wait_s"] >= 0
        assert seen["poll_after_ms"] == pytest.approx(min(5000, max(100, 1000 * seen["eta_s"])), abs=1)


def test_what_a_job_waits_for_is_counted_by_the_share_of_its_key(store: JobStore) -> None:
    def submit(owner: str, items: int) -> Job:
        job_id = store.ids.issue(owner)
        chunks = [Chunk(job_id, i, [Item.accept("好", 9)]) for i in range(items)]
        return store.create(job_id, Terms(queue_class=QueueClass.BULK, owner=owner), chunks)

    large, small, last = submit("a", 300), submit("b", 20), submit("b", 10)
    store.redis.hset(WEIGHTS, "b", 3)
    queue = Queue(MODEL_NAME, QueueClass.BULK)
    rate = {"drained_items": 100, "drained_cost": 100, "drained_s": 10}
    store.redis.hset(backlog_key(queue), mapping=rate)
    cache = BacklogCache(store, Models(store))
    seen = [cache.position(job) for job in (large, small, last)]
    assert [each.items_ahead for each in seen if each] == [0, 0, 20 + 6], "a third as many of the other key"
    # The large job is the last of all: the others have no more than 30 items.
    assert [each.eta_s for each in seen if each] == [33.0, 2.6, 4.0]


def test_a_full_service_is_503_for_one_text_and_for_a_list(redis_url: str, tmp_path: Path) -> None:
    limits = {"SENTIMENT_ASSUMED_ITEMS_PER_S": "0.3", "AUTH": "none"}
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as api:
        assert [api.post("/v1/jobs", json={"text": "好"}).status_code for _ in range(3)] == [202] * 3
        items = {"items": [{"text": "好"}]}
        for path, body in (("/v1/jobs", {"text": "好"}), ("/v1/jobs", items), ("/predict", {"text": "好"})):
            refused = api.post(path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "service_full")
            assert refused.headers["content-type"] == "application/problem+json"
            assert int(refused.headers["retry-after"]) == refused.json()["retry_after_s"] >= 5
        assert api.get("/v1/queue").json()["classes"]["interactive"]["accepting"] is False


def test_a_deadline_that_cannot_be_met_is_503_with_one_that_can(
    redis_url: str, store: JobStore, tmp_path: Path
) -> None:
    rate = {
        "drained_items": 100,
        "drained_cost": 100,
        "drained_s": 10,
        "finished_at": store.now_ms() + 60_000,
    }
    queue = backlog_key(Queue(MODEL_NAME, QueueClass.BULK))
    store.redis.hset(queue, mapping=rate | {"items": 290, "cost": 290})
    body = {"items": [{"text": "好"}] * 10, "priority": "bulk"}
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url, httpx2.Client(base_url=url) as api:
        refused = api.post("/v1/jobs", json=body | {"deadline_s": 20})
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (503, "deadline_too_short")
        assert problem["feasible_deadline_s"] == 31
        assert "in 31 s, not in 20 s" in problem["detail"]
        assert 11 <= int(refused.headers["retry-after"]) <= 15
        assert api.post("/v1/jobs", json=body | {"deadline_s": 31}).status_code == 202
        metrics = api.get("/metrics").text
        assert 'sentiq_refused_requests_total{reason="deadline_too_short"} 1.0' in metrics


def test_retry_after_differs_from_caller_to_caller(redis_url: str, tmp_path: Path) -> None:
    limits = {"SENTIMENT_ASSUMED_ITEMS_PER_S": "0.1", "AUTH": "none"}
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as api:
        api.post("/v1/jobs", json={"text": "好"})
        waits = {api.post("/v1/jobs", json={"text": f"{i}"}).headers["retry-after"] for i in range(40)}
        assert len(waits) > 1


def test_the_quota_of_a_key_is_429_and_concerns_no_other(redis_url: str, tmp_path: Path) -> None:
    first, second = (bearer(made(redis_url)) for _ in range(2))
    quota = {"SENTIMENT_QUOTA_ITEMS": "2"}
    with running_api(redis_url, tmp_path / "api.log", **quota) as url, httpx2.Client(base_url=url) as api:
        body = {"items": [{"text": "好"}, {"text": "坏"}]}
        assert api.post("/v1/jobs", json=body, headers=first).status_code == 202
        refused = api.post("/v1/jobs", json={"text": "好"}, headers=first)
        assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
        assert int(refused.headers["retry-after"]) >= 1
        assert "At most 2 items" in refused.json()["detail"]
        assert api.post("/v1/jobs", json=body, headers=second).status_code == 202


def patient(url: str) -> httpx2.Client:
    """Return a client that sends much and waits for it."""
    return httpx2.Client(base_url=url, timeout=60, trust_env=False)


DEAR = {"on_long_text": "window", "sentences": True, "explain": True}
DEAR_TEXT = ("屏幕碎了，客服一直不回。" * 900)[:10_000]


def test_an_interactive_job_has_a_ceiling_of_cost_however_idle_the_service(
    redis_url: str, tmp_path: Path
) -> None:
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url, httpx2.Client(base_url=url) as api:
        limit = api.get("/v1/info").json()["limits"]["interactive_chars"]
        body = DEAR | {"items": [{"text": DEAR_TEXT}] * 3}
        refused = api.post("/v1/jobs", json=body | {"priority": "interactive"})
        (error,) = refused.json()["errors"]
        assert (refused.status_code, error["pointer"], error["code"]) == (422, "/priority", "too_costly")
        assert str(limit) in error["detail"]
        assert "bulk" in error["detail"]
        lines = "\n".join(json.dumps({"text": DEAR_TEXT}) for _ in range(30))
        refused = api.post(
            "/v1/jobs",
            params={"priority": "interactive", "on_long_text": "window", "explain": "true"},
            content=lines.encode(),
            headers={"content-type": "application/x-ndjson"},
        )
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "?priority")
        assert api.get("/v1/jobs").json()["data"] == [], "nothing is left of what was refused"
        assert api.post("/v1/jobs", json=body).json()["priority"] == "bulk"
        one = DEAR | {"text": DEAR_TEXT, "priority": "interactive"}
        assert api.post("/v1/jobs", json=one).status_code == 202, "any one text is within it"


def test_a_key_with_a_long_backlog_is_refused_and_holds_up_no_other(redis_url: str, tmp_path: Path) -> None:
    first, second = (bearer(made(redis_url)) for _ in range(2))
    limits = {"SENTIMENT_ASSUMED_ITEMS_PER_S": "10"}
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as api:
        small = {"items": [{"text": "屏幕碎了"}] * 32}
        codes = [api.post("/v1/jobs", json=small, headers=first).status_code for _ in range(5)]
        assert codes == [202] * 3 + [503] * 2, "a hundred items are ten seconds"
        refused = api.post("/v1/jobs", json=small, headers=first)
        assert refused.json()["code"] == "service_full"
        job = api.post("/v1/jobs", json=small, headers=second)
        assert job.status_code == 202
        assert job.json()["queue"]["items_ahead"] == 0, "keys take turns"
        later = api.post("/v1/jobs", json={"text": "好"}, headers=second).json()
        assert later["queue"]["items_ahead"] == 32 + 32
        accepting = [
            api.get("/v1/queue", headers=key).json()["classes"]["interactive"]["accepting"]
            for key in (first, second)
        ]
        assert accepting == [False, True]


def test_what_a_key_keeps_has_a_quota_and_an_operator_can_purge_it(redis_url: str, tmp_path: Path) -> None:
    tokens = [made(redis_url) for _ in range(2)]
    (hoarder, other), key_id = map(bearer, tokens), tokens[0].split("_")[1]
    quota = {"SENTIMENT_QUOTA_BYTES": "1500000"}
    with running_api(redis_url, tmp_path / "api.log", **quota) as url, patient(url) as api:
        items = [{"text": "", "id": "𠮷" * 256}] * 1000
        body = {"items": items, "result_ttl_s": 604_800}
        codes = [api.post("/v1/jobs", json=body, headers=hoarder).status_code for _ in range(2)]
        assert codes == [202, 429], "nothing of it can be scored, and it is charged all the same"
        refused = api.post("/v1/jobs", json=body, headers=hoarder)
        assert refused.json()["code"] == "storage_quota_exceeded"
        assert "1500000 bytes" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 3610
        (job,) = api.get("/v1/jobs", headers=hoarder).json()["data"]
        upload = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
        refused = api.post("/v1/jobs", content=gzip.compress(b"\xff\n" * 20_000), headers=hoarder | upload)
        assert (refused.status_code, refused.json()["code"]) == (429, "storage_quota_exceeded")
        (left,) = api.get("/v1/jobs", headers=hoarder).json()["data"]
        assert left["id"] == job["id"], "nothing is left of the upload"
        assert api.post("/v1/jobs", json=body, headers=other).status_code == 202
        assert re.search(rf"{key_id} .* 1\d{{6}} ", keys(redis_url, "list").stdout, re.MULTILINE)
        assert "1 jobs" in keys(redis_url, "purge", key_id).stdout
        assert api.get(job["links"]["self"], headers=hoarder).json()["code"] == "job_deleted"
        assert api.post("/v1/jobs", json=body, headers=hoarder).status_code == 202
        metrics = api.get("/metrics").text
        assert re.search(r"^sentiq_kept_bytes 2\.\d+e\+06$", metrics, re.MULTILINE)
        assert 'sentiq_refused_requests_total{reason="storage_quota_exceeded"} 3.0' in metrics


def test_a_redis_without_memory_is_503_before_writes_fail(
    redis_url: str, store: JobStore, tmp_path: Path
) -> None:
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url, httpx2.Client(base_url=url) as api:
        store.redis.set("ballast", bytes(30_000_000))
        job = api.post("/v1/jobs", json={"text": "好"}).json()

        def refused_at_nine_tenths() -> bool:
            store.redis.config_set("maxmemory", int(store.redis.info("memory")["used_memory"] * 1.08))
            return api.post("/v1/jobs", json={"text": "好"}).is_error

        eventually(refused_at_nine_tenths)
        refused = api.post("/v1/jobs", json={"text": "好"})
        assert (refused.status_code, refused.json()["code"]) == (503, "store_full")
        assert int(refused.headers["retry-after"]) >= 10
        store.redis.config_set("maxmemory", 1000)
        answer = api.get(job["links"]["self"])
        assert answer.json()["status"] == "queued", f"reading needs no memory: {answer.text}"


def test_the_id_of_a_request_is_in_the_workers_log(live: Stack, http: httpx2.Client) -> None:
    answer = http.post("/v1/jobs", json={"text": "好"}, headers={"X-Request-Id": "me-1", "Prefer": "wait=20"})
    assert answer.headers["x-request-id"] == "me-1"
    worker = next(process for process in live.processes if process.pid == worker_of(live).pid)
    eventually(lambda: any("scored" in line and "me-1" in line for line in worker._tail))


def test_a_request_without_an_id_gets_one(http: httpx2.Client) -> None:
    assert re.fullmatch("[0-9a-f]{32}", http.get("/livez").headers["x-request-id"])
    minted = http.get("/livez", headers={"X-Request-Id": "not one"}).headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", minted)
