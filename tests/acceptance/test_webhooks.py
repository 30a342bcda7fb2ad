"""Webhooks through the whole system: submitted over HTTP, finished by a worker, sent by the sender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from local.redis_server import redis_server
from local.stack import Stack
from tests.conftest import eventually, started_stack
from tests.webhooks.receiver import Receiver, receiving

HERE = {"SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1", "SENTIMENT_WEBHOOK_RETRIES_S": "0.2"}


def submit(stack: Stack, url: str, **options: Any) -> dict[str, Any]:
    """Submit a job with a webhook; return it when it has finished."""
    body = {"items": [{"text": "服务很贴心"}, {"text": ""}], "webhook": {"url": url, **options}}
    answer = httpx2.post(f"{stack.url}/v1/jobs", json=body, headers={"Prefer": "wait=30"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def delivery(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    """Return the delivery of the job when it is no longer pending."""

    def look() -> list[dict[str, Any]]:
        data: list[dict[str, Any]] = httpx2.get(stack.url + job["links"]["deliveries"]).json()["data"]
        return [each for each in data if each["status"] != "pending"]

    (completed,) = eventually(look)
    return completed


def test_a_finished_job_is_delivered_and_the_log_shows_the_attempts(tmp_path: Path) -> None:
    with started_stack(tmp_path, **HERE) as stack, receiving(Receiver([503, 204])) as receiver:
        job = submit(stack, receiver.url)
        seen = delivery(stack, job)
        assert (seen["event"], seen["status"], seen["url"]) == ("job.partial", "delivered", receiver.url)
        assert seen["next_attempt_at"] is None
        first, second = seen["attempts"]
        assert (first["number"], first["status_code"], second["status_code"]) == (1, 503, 204)
        assert job["finished_at"] <= first["at"] < second["at"]
        assert {each.headers["webhook-id"] for each in receiver.received} == {seen["id"]}
        payload = receiver.received[-1].json
        assert (payload["type"], payload["timestamp"]) == ("job.partial", job["finished_at"])
        assert payload["data"]["counts"] == {
            "total": 2,
            "succeeded": 1,
            "failed": 1,
            "timed_out": 0,
            "canceled": 0,
        }
        other = submit(stack, receiver.url, events=["job.failed", "job.timed_out"])
        assert httpx2.get(stack.url + other["links"]["deliveries"]).json()["data"] == []


@pytest.mark.timeout(200)
def test_a_job_that_finished_without_a_sender_is_delivered_after_a_restart(tmp_path: Path) -> None:
    with redis_server() as url, receiving(Receiver()) as receiver:
        with started_stack(tmp_path, redis_url=url, **HERE) as stack:
            next(psutil.Process(each.pid) for each in stack.processes if each.name == "webhooks").kill()
            job = submit(stack, receiver.url)
            pending = httpx2.get(stack.url + job["links"]["deliveries"]).json()["data"][0]
            assert (pending["status"], pending["attempts"]) == ("pending", [])
            assert pending["next_attempt_at"] == job["finished_at"]
        assert not receiver.received
        with started_stack(tmp_path, redis_url=url, **HERE) as stack:
            assert delivery(stack, job)["status"] == "delivered"
        assert [each.json["data"]["id"] for each in receiver.received] == [job["id"]]


def test_an_upload_names_its_webhook_in_the_query(tmp_path: Path) -> None:
    with started_stack(tmp_path, **HERE) as stack, receiving(Receiver()) as receiver:
        params = {"webhook.url": receiver.url, "webhook.events": "job.succeeded,job.failed"}
        headers = {"content-type": "application/x-ndjson"}
        answer = httpx2.post(
            f"{stack.url}/v1/jobs", content='"服务很贴心"\n"好"\n', params=params, headers=headers
        )
        assert answer.status_code == 202, answer.text
        assert delivery(stack, answer.json())["status"] == "delivered"
        assert receiver.received[0].json["data"]["counts"]["succeeded"] == 2
        params["webhook.url"] = "http://10.0.0.1/"
        refused = httpx2.post(f"{stack.url}/v1/jobs", content='"好"', params=params, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "?webhook.url")
