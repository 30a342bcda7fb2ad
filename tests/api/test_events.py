from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
from sentiq import Sentiq

from tests.api.test_jobs import finished
from tests.api.test_results import long_job
from tests.conftest import eventually, started_stack, worker_of


def events(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    fields: dict[str, Any] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = json.loads(value) if name == "data" else value
        elif fields:
            yield fields | {"at": time.monotonic()}
            fields = {}


def test_a_snapshot_then_progress_then_done(http: httpx2.Client) -> None:
    job = long_job(http, 600)
    with http.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
        seen = list(events(answer))
    names = [event["event"] for event in seen]
    assert names[0] == "snapshot"
    assert names[-1] == "done"
    assert set(names[1:-1]) == {"progress"}
    assert seen[-1]["data"]["status"] == "succeeded"
    counts = [event["data"]["counts"]["succeeded"] for event in seen]
    assert counts == sorted(counts)
    progress = [event["at"] for event in seen[1:-1]]
    assert all(later - earlier > 0.9 for earlier, later in pairwise(progress))


def test_whoever_comes_back_is_told_only_what_is_new(http: httpx2.Client) -> None:
    job = long_job(http)
    path = f"/v1/jobs/{job['id']}/events"
    with http.stream("GET", path) as answer:
        first = next(events(answer))
    assert first["event"] == "snapshot"
    with http.stream("GET", path, headers={"Last-Event-ID": first["id"]}) as answer:
        seen = list(events(answer))
    assert "snapshot" not in [event["event"] for event in seen]
    assert seen[-1]["event"] == "done"
    again = http.get(path, headers={"Last-Event-ID": seen[-1]["id"]})
    assert (again.status_code, again.content) == (204, b""), "the browser stops coming back"


def test_a_job_that_is_over_has_a_snapshot_and_is_done(http: httpx2.Client) -> None:
    job_id = http.post("/v1/jobs", json={"text": "服务很贴心"}).json()["id"]
    finished(http, job_id)
    with http.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert [event["event"] for event in events(answer)] == ["snapshot", "done"]
    late = {"Last-Event-ID": "queued.0.1"}
    with http.stream("GET", f"/v1/jobs/{job_id}/events", headers=late) as answer:
        assert [event["event"] for event in events(answer)] == ["done"]


def test_a_deleted_job_is_told_as_gone(http: httpx2.Client) -> None:
    job = long_job(http, 1000)
    with http.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
        seen = events(answer)
        assert next(seen)["event"] == "snapshot"
        http.delete(f"/v1/jobs/{job['id']}")
        *_, last = seen
    assert (last["event"], last["data"]) == ("gone", {"code": "job_deleted"})


def test_at_the_cap_of_held_requests_answers_come_at_once(tmp_path: Path) -> None:
    with started_stack(tmp_path, SENTIMENT_MAX_HELD="1") as stack, Sentiq(stack.url):
        worker = worker_of(stack)
        for process in (worker, *worker.children()):
            process.suspend()
        with httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
            job = http.post("/v1/jobs", json={"text": "好"}).json()
            path = f"/v1/jobs/{job['id']}"
            with http.stream("GET", f"{path}/events") as held:
                assert next(events(held))["event"] == "snapshot"

                def refused() -> httpx2.Response | None:
                    answer = http.get(path, headers={"Prefer": "wait=5"})
                    return answer if answer.headers["preference-applied"] == "wait=0" else None

                answer = eventually(refused)
                assert answer is not None
                assert answer.json()["status"] == "queued"
                with http.stream("GET", f"{path}/events") as other:
                    assert [event["event"] for event in events(other)] == ["snapshot"]
                lines = http.get(f"{path}/results?follow=true", headers={"accept": "application/x-ndjson"})
                assert json.loads(lines.text)["complete"] is False
        for process in (*worker.children(), worker):
            process.resume()
