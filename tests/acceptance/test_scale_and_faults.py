"""Promises under load: many texts, and processes that are killed while they work."""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import redis
from sentiq import Sentiq

from local.processes import Group
from local.redis_server import redis_server, start_redis
from local.stack import Stack
from tests.api.test_summary import check, summary_of
from tests.conftest import eventually, items_of, started_stack, worker_of

JOBS, ITEMS, SHOPS = 20, 1000, 7
LARGE = 3


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Run a stack for one test, which may damage it."""
    with started_stack(tmp_path) as stack:
        yield stack


def many_texts(reviews: list[dict[str, str]], seed: int, longest: int = 6) -> list[str]:
    """Return a thousand texts of up to `longest` clauses; of six, most are distinct."""
    rng = random.Random(seed)
    parts = [part for review in reviews for part in review["text"].split("，")]
    return ["，".join(rng.choices(parts, k=rng.randint(1, longest))) for _ in range(ITEMS)]


def done(client: Sentiq, job_ids: list[str]) -> list[dict[str, Any]]:
    """Wait until all jobs have finished, and return them."""
    return [dict(client.job(job_id).wait(timeout=150).raw) for job_id in job_ids]


def succeeded(client: Sentiq, job_ids: list[str]) -> int:
    return sum(client.job(job_id).counts.succeeded for job_id in job_ids)


def labels(client: Sentiq, job_id: str) -> list[tuple[str, float]]:
    """Return the verdicts of a job; check that there is exactly one for each item, in order."""
    items = items_of(client, job_id)
    assert [item["index"] for item in items] == list(range(ITEMS))
    return [(item["label"], item["confidence"]) for item in items]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_twenty_thousand_reviews_survive_killed_children(stack: Stack, reviews: list[dict[str, str]]) -> None:
    """Each has its verdict, and the summaries of the jobs are those of the results."""
    texts = [many_texts(reviews, seed, longest=1) for seed in range(JOBS)]
    worker = worker_of(stack)
    with Sentiq(stack.url) as client, httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        calm = client.submit(texts[0]).id
        done(client, [calm])
        undisturbed = labels(client, calm)
        job_ids = [submit_by_shop(http, batch) for batch in texts]
        for share in (0.05, 0.3, 0.6):
            enough = share * JOBS * ITEMS
            eventually(lambda enough=enough: succeeded(client, job_ids) >= enough, within_s=150)  # type: ignore[misc]
            worker.children()[0].kill()
        jobs = done(client, job_ids)
        assert [job["status"] for job in jobs] == ["succeeded"] * JOBS
        assert [job["counts"]["succeeded"] for job in jobs] == [ITEMS] * JOBS
        for job_id in job_ids:
            labels(client, job_id)
            check(summary_of(http, job_id, "shop"), items_of(client, job_id), "shop")
        assert labels(client, job_ids[0]) == undisturbed


def submit_by_shop(http: httpx2.Client, texts: list[str]) -> str:
    items = [{"text": text, "data": {"shop": i % SHOPS}} for i, text in enumerate(texts)]
    answer = http.post("/v1/jobs", json={"items": items, "summarize_by": "shop"})
    return str(answer.raise_for_status().json()["id"])


def test_small_jobs_do_not_wait_behind_large_ones(stack: Stack, reviews: list[dict[str, str]]) -> None:
    with Sentiq(stack.url) as client:
        large = [client.submit(many_texts(reviews, seed)).id for seed in range(LARGE)]
        small = [client.submit(["服务很贴心"]).id for _ in range(3)]
        done(client, small)
        assert succeeded(client, large) < 0.8 * LARGE * ITEMS, "the large jobs were submitted first"


@pytest.mark.timeout(200)
def test_a_killed_worker_loses_nothing(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    with redis_server() as url:
        stack_that_dies = started_stack(tmp_path, redis_url=url, SENTIMENT_LEASE_S="600")
        with stack_that_dies as stack, Sentiq(stack.url) as client:
            job_id = client.submit(many_texts(reviews, 1)).id
            eventually(lambda: client.job(job_id).raw["started_at"])
            worker = worker_of(stack)
            children = worker.children()
            worker.kill()
            psutil.wait_procs([worker, *children], timeout=10)
            assert not any(child.is_running() for child in children), "children end with their parent"
        # The next worker notices that its predecessor died, so it does not wait for the lease to end.
        with started_stack(tmp_path, redis_url=url) as stack, Sentiq(stack.url) as client:
            assert done(client, [job_id])[0]["status"] == "succeeded"
            labels(client, job_id)


@pytest.mark.timeout(200)
def test_a_restarted_redis_has_every_job(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    data = tmp_path / "redis"
    with Group() as group:
        server, url = start_redis(group, data_dir=data)
        with started_stack(tmp_path, redis_url=url) as stack, Sentiq(stack.url) as client:
            job_ids = [client.submit(many_texts(reviews, seed)).id for seed in range(2)]
            eventually(lambda: client.job(job_ids[0]).raw["started_at"])
            os.kill(server.pid, signal.SIGKILL)
            eventually(lambda: httpx2.get(f"{stack.url}/readyz").status_code == 503)
            refused = httpx2.post(f"{stack.url}/v1/jobs", json={"text": "好"})
            assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
            assert httpx2.get(f"{stack.url}/v1/jobs/{job_ids[0]}").status_code == 503, (
                "not 404: without Redis nothing is known"
            )
            start_redis(group, data_dir=data, port=int(url.rsplit(":", 1)[1].split("/")[0]))
            eventually(client.ready)
            for job in done(client, job_ids):
                assert job["status"] == "succeeded"
            for job_id in job_ids:
                labels(client, job_id)
            stack.check()


def test_a_call_that_takes_too_long_is_504_and_its_job_continues(tmp_path: Path) -> None:
    with started_stack(tmp_path, SENTIMENT_MAX_WAIT_S="0.5") as stack, Sentiq(stack.url) as client:
        worker = worker_of(stack)
        worker.suspend()
        for child in worker.children():
            child.suspend()
        limits = httpx2.Limits(max_connections=200)
        with ThreadPoolExecutor(200) as callers, httpx2.Client(timeout=60, limits=limits) as http:
            call = partial(http.post, f"{stack.url}/predict", json={"text": "好"})
            answer, *others = callers.map(lambda _: call(), range(200))
        assert (answer.status_code, answer.json()["code"]) == (504, "not_finished_in_time")
        assert {other.status_code for other in others} == {504}, "for all 200 callers"
        for child in worker.children():
            child.resume()
        worker.resume()
        job_id = answer.json()["job_id"]
        assert done(client, [job_id])[0]["status"] == "succeeded"


def test_a_stop_answers_waiting_requests_with_the_location_of_their_job(tmp_path: Path) -> None:
    with started_stack(tmp_path) as stack, ThreadPoolExecutor() as caller:
        worker = worker_of(stack)
        worker.suspend()
        for child in worker.children():
            child.suspend()
        options: dict[str, Any] = {"json": {"text": "好"}, "headers": {"Prefer": "wait=30"}, "timeout": 60}
        call = caller.submit(httpx2.post, f"{stack.url}/v1/jobs", **options)
        store = redis.Redis.from_url(worker.environ()["REDIS_URL"])
        eventually(lambda: store.zcard("sentiq:open_jobs"))
        next(psutil.Process(process.pid) for process in stack.processes if process.name == "api").terminate()
        answer = call.result(timeout=20)
        assert answer.status_code == 202
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        for process in (*worker.children(), worker):
            process.resume()


def test_a_pickled_message_is_refused_and_the_worker_continues(stack: Stack) -> None:
    url = worker_of(stack).environ()["REDIS_URL"]
    evil = {
        "body": base64.b64encode(pickle.dumps(([], {}, {}))).decode(),
        "content-type": "application/x-python-serialize",
        "content-encoding": "binary",
        "headers": {"task": "sentiq.score", "id": "evil", "lang": "py"},
        "properties": {
            "delivery_info": {"exchange": "", "routing_key": "sentiq.sentiq-zh-small"},
            "delivery_tag": "evil",
            "body_encoding": "base64",
        },
    }
    redis.Redis.from_url(url).lpush("sentiq.sentiq-zh-small", json.dumps(evil))
    with Sentiq(stack.url) as client:
        assert stack.score(client, "服务很贴心")["label"] == "positive"
    stack.check()


def test_a_worker_child_and_an_api_process_stay_small(stack: Stack, reviews: list[dict[str, str]]) -> None:
    with Sentiq(stack.url) as client:
        done(client, [client.submit(many_texts(reviews, 7)).id])
    api = next(psutil.Process(process.pid) for process in stack.processes if process.name == "api")
    megabyte = 1024 * 1024
    assert all(child.memory_info().rss <= 260 * megabyte for child in worker_of(stack).children())
    assert all(process.memory_info().rss <= 100 * megabyte for process in [api, *api.children()])


def test_a_worker_parent_has_no_thread_that_a_fork_could_break(stack: Stack) -> None:
    assert worker_of(stack).num_threads() == 1
