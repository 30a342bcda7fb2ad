"""The usage of a day is what a recount of all outcomes gives, although children and a worker were killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from sentiq import Sentiq

from local.redis_server import redis_server
from local.stack import Stack
from tests.acceptance.test_scale_and_faults import done, many_texts, succeeded
from tests.conftest import eventually, items_of, started_stack, worker_of


def recount(stack: Stack) -> dict[str, int]:
    """Count the outcomes of all jobs, those included with which stacks check that they score."""
    with Sentiq(stack.url) as client, httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        listed = http.get("/v1/jobs", params={"limit": "100"}).json()["data"]
        items = [item for job in listed for item in items_of(client, job["id"])]
    good = [item for item in items if item["status"] == "succeeded"]
    return {
        "items": len(items),
        "errors": len(items) - len(good),
        "characters": sum(item["chars"] for item in good),
        "tokens": sum(item["tokens"] for item in good),
    }


def usage(stack: Stack) -> dict[str, Any]:
    """Return the usage of all days so far."""
    answer: dict[str, Any] = httpx2.get(f"{stack.url}/v1/usage", timeout=60, trust_env=False).json()
    return dict(answer["total"])


def submit(client: Sentiq, reviews: list[dict[str, str]], seed: int) -> str:
    """Submit a thousand texts, of which a few cannot be scored."""
    texts = many_texts(reviews, seed, longest=1)
    texts[::100] = ["\u200b"] * len(texts[::100])
    return client.submit(texts).id


def test_a_thousand_items_with_killed_processes(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    with redis_server() as url:
        with started_stack(tmp_path, redis_url=url) as stack, Sentiq(stack.url) as client:
            job_id = submit(client, reviews, 1)
            eventually(lambda: succeeded(client, [job_id]) > 0)
            worker = worker_of(stack)
            children = worker.children()
            children[0].kill()
            eventually(lambda: succeeded(client, [job_id]) > 300, within_s=60)
            worker.kill()
            psutil.wait_procs([worker, *children], timeout=10)
        with started_stack(tmp_path, redis_url=url) as stack, Sentiq(stack.url) as client:
            done(client, [job_id])
            used, counted = usage(stack), recount(stack)
    assert used.pop("model_seconds") > 0
    assert used == counted
    assert (counted["items"], counted["errors"]) == (1002, 10), "with the texts that both stacks began with"


@pytest.mark.long
@pytest.mark.timeout(400)
def test_twenty_thousand_items_with_killed_children(tmp_path: Path, reviews: list[dict[str, str]]) -> None:
    with started_stack(tmp_path) as stack, Sentiq(stack.url) as client:
        job_ids = [submit(client, reviews, seed) for seed in range(20)]
        for share in (0.1, 0.4, 0.7):
            eventually(lambda enough=share * 20_000: succeeded(client, job_ids) >= enough, within_s=150)  # type: ignore[misc]
            worker_of(stack).children()[0].kill()
        done(client, job_ids)
        used, counted = usage(stack), recount(stack)
    assert used.pop("model_seconds") > 0
    assert used == counted
    assert (counted["items"], counted["errors"]) == (20_001, 200)
