"""Jobs that wait for a time, over HTTP."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.test_access import running_api
from tests.conftest import eventually


def after(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_job_is_scored_when_its_time_has_come(http: httpx2.Client) -> None:
    time = datetime.now(UTC) + timedelta(seconds=3)
    job = http.post("/v1/jobs", json={"text": "服务很贴心", "not_before": time.isoformat()}).json()
    assert (job["status"], job["priority"], job["started_at"]) == ("queued", "bulk", None)
    assert job["queue"]["items_ahead"] == 0
    not_before = datetime.fromisoformat(job["not_before"])
    assert abs(not_before - time) < timedelta(milliseconds=2)
    assert datetime.fromisoformat(job["deadline_at"]) == not_before + timedelta(seconds=job["deadline_s"])

    def done() -> dict[str, Any]:
        seen: dict[str, Any] = http.get(job["links"]["self"]).json()
        return seen if seen["status"] == "succeeded" else {}

    assert datetime.fromisoformat(eventually(done)["started_at"]) >= not_before


def test_uploads_wait_too_and_are_told_apart_in_the_queue(redis_url: str, tmp_path: Path) -> None:
    with running_api(redis_url, tmp_path / "api.log", AUTH="none") as url, httpx2.Client(base_url=url) as api:
        lines = "\n".join(json.dumps({"text": f"第{i}次"}) for i in range(150)).encode()
        headers = {"content-type": "application/x-ndjson"}
        job = api.post("/v1/jobs", params={"not_before": after(3600)}, content=lines, headers=headers).json()
        assert job["not_before"] is not None
        bulk = api.get("/v1/queue").json()["classes"]["bulk"]
        assert (bulk["pending_items"], bulk["deferred_items"]) == (0, 150)
        assert 'sentiq_deferred_items{class="bulk",model="test"} 150.0' in api.get("/metrics").text
        assert api.post(job["links"]["cancel"]).json()["status"] == "canceled"
        assert api.get("/v1/queue").json()["classes"]["bulk"]["deferred_items"] == 0
        past = api.post("/v1/jobs", json={"text": "好", "not_before": after(-5)}).json()
        assert (past["not_before"], past["priority"]) == (None, "interactive")


def test_a_request_that_is_repeated_behind_its_time_is_answered_as_the_first(http: httpx2.Client) -> None:
    """Whether it came as a document or as an upload that is taken up again."""
    time, headers = after(1.5), {"Idempotency-Key": uuid.uuid4().hex}
    upload = {"Idempotency-Key": uuid.uuid4().hex, "content-type": "application/x-ndjson"}
    lines = "".join(json.dumps({"text": f"第{i}次"}) + "\n" for i in range(70)).encode()

    def send() -> tuple[httpx2.Response, httpx2.Response]:
        document = http.post("/v1/jobs", json={"text": "好", "not_before": time}, headers=headers)
        return document, http.post("/v1/jobs", params={"not_before": time}, content=lines, headers=upload)

    first = send()
    eventually(lambda: time < after(0))
    for answer, again in zip(first, send(), strict=True):
        assert (again.status_code, again.headers.get("idempotent-replayed")) == (202, "true"), again.text
        assert again.json()["id"] == answer.json()["id"]


@pytest.mark.parametrize(
    ("terms", "what"),
    [
        ({"not_before": after(9 * 86_400)}, "at most 7 days"),
        ({"not_before": "2026-12-01T00:00:00"}, "an offset"),
        ({"not_before": 5}, "an offset"),
        ({"not_before": after(7200), "priority": "interactive"}, "interactive"),
    ],
    ids=["late", "naive", "number", "interactive"],
)
def test_a_bad_time_is_named(http: httpx2.Client, terms: dict[str, object], what: str) -> None:
    answer = http.post("/v1/jobs", json={"text": "好", **terms})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/not_before")
    assert what in error["detail"]
