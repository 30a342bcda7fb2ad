"""A failover in the middle of a job: all programs follow the primary; what the replica lacked is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sentiq import Sentiq

from local.stack import Stack
from samples.shipped import read_reviews
from tasks.redis_connections import connection_options
from tasks.redis_url import read_redis_url
from tests.conftest import INT8_TOLERANCE, eventually, items_of, started_stack
from tests.servers.deployment import Watched, watched
from tests.webhooks.receiver import Receiver, receiving

COPIES = 4


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Watched]:
    with watched(tmp_path) as service:
        yield service


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        yield receiver


def submit(http: httpx2.Client, texts: list[str], hook: str = "") -> str:
    body = {"items": [{"text": text} for text in texts]}
    answer = http.post("/v1/jobs", json=body | ({"webhook": {"url": hook}} if hook else {}))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def finished(http: httpx2.Client, job_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        answer = http.get(f"/v1/jobs/{job_id}")
        job: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
        return job if job.get("finished_at") else {}

    return eventually(look, within_s=90)


@pytest.mark.timeout(240)
def test_a_failover_in_the_middle_of_a_job_loses_only_what_the_replica_lacked(
    service: Watched, tmp_path: Path, receiver: Receiver
) -> None:
    texts = [review.text for review in read_reviews()] * COPIES
    settings = {
        "SENTIMENT_CONCURRENCY": "1",
        "SENTIMENT_LEASE_S": "5",
        "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    }
    with (
        started_stack(tmp_path, redis_url=service.url, **settings) as stack,
        httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
        Sentiq(stack.url) as client,
    ):
        calm_job = finished(http, submit(http, texts[:200]))
        calm = {item["index"]: item for item in items_of(client, calm_job["id"])}
        kept = submit(http, texts, receiver.url)
        eventually(lambda: 0 < http.get(f"/v1/jobs/{kept}").json()["counts"]["pending"] < len(texts))
        lacked = fail_over(service, http, texts)
        job = finished(http, kept)
        assert job["counts"]["succeeded"] == job["counts"]["total"] == len(texts)
        items = items_of(client, kept)
        assert [item["index"] for item in items] == list(range(len(texts)))
        for item in items:
            same = calm.get(item["index"])
            assert same is None or same["label"] == item["label"]
            assert same is None or abs(same["confidence"] - item["confidence"]) <= INT8_TOLERANCE
        answer = http.get(f"/v1/jobs/{lacked}")
        assert (answer.status_code, answer.json()["code"]) == (410, "job_lost")
        eventually(lambda: [hook for hook in receiver.received if hook.json["data"]["id"] == kept])
        stack.check()
        comes_back_as_a_replica(service, stack, http)


def fail_over(service: Watched, http: httpx2.Client, texts: list[str]) -> str:
    """Kill the primary behind a job that the replica lacks; return its id when the replica is the primary."""
    replica = service.client(service.replica_port)
    replica.replicaof("127.0.0.1", 1)  # nothing is there
    lacked = submit(http, texts[:3])
    service.primary.kill()
    eventually(lambda: service.named() == {service.replica_port}, within_s=60)
    eventually(lambda: http.post("/v1/jobs", json={"text": texts[0]}).status_code == 202)
    return lacked


def comes_back_as_a_replica(service: Watched, stack: Stack, http: httpx2.Client) -> None:
    """Start the first server again: the Sentinels make it a replica, and the service does not notice."""
    service.start_again()
    eventually(lambda: service.client(service.primary_port).role()[0] == b"slave", within_s=60)
    finished(http, submit(http, ["很好"]))
    stack.check()


def client(url: str) -> redis.Redis:
    """Return a client that repeats nothing."""
    options = connection_options(read_redis_url(url))
    return redis.Redis.from_pool(redis.ConnectionPool(**options, retry=Retry(NoBackoff(), 0)))


def test_a_connection_whose_server_became_a_replica_asks_for_the_primary_anew(service: Watched) -> None:
    """What is still connected when a primary is demoted by hand, without a word from the Sentinels."""
    with client(service.url) as ours:
        ours.set("sentiq:before", 1)
        service.client(service.primary_port).replicaof("127.0.0.1", service.replica_port)
        with pytest.raises(redis.ConnectionError, match="is a replica now"):
            ours.set("sentiq:after", 1)
        (connection,) = ours.connection_pool._available_connections
        assert not connection.is_connected


def test_without_a_primary_the_answer_is_a_connection_error(service: Watched) -> None:
    with (
        client(service.url.replace("/ours/", "/theirs/")) as ours,
        pytest.raises(redis.ConnectionError, match="theirs"),
    ):
        ours.ping()
