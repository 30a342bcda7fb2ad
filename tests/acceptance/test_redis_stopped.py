"""Redis stopped or killed: every path answers 503 soon, and no process needs a restart afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.processes import Group
from local.redis_server import start_redis
from tests.conftest import eventually, started_stack

# /metrics reports that Redis is down: Prometheus would ignore the body of a 503.
NEEDS_NO_REDIS = {"/", "/livez", "/metrics", "/openapi.json", "/docs", "/static/<path:filename>"}
BODIES: dict[str, Any] = {
    "/v1/jobs": {"text": "好"},
    "/predict": {"text": "好"},
    "/predict_batch": {"texts": ["好"]},
}


def calls(job_id: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield a call of each path and method, and of waits and streams."""
    from api.app import create_app  # noqa: PLC0415  imported late, as the stack has other settings
    from tasks.settings import Settings  # noqa: PLC0415

    bodies = BODIES | {"/v1/jobs/lookup": {"ids": [job_id]}}
    for rule in create_app(Settings()).url_map.iter_rules():
        if rule.rule in NEEDS_NO_REDIS:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            body = {"json": bodies[rule.rule]} if method == "POST" and rule.rule in bodies else {}
            if rule.rule.startswith("/v1/admin/"):
                body["headers"] = {"authorization": f"Bearer sentiq_0a1b2c3d_{'x' * 43}"}
            yield method, rule.rule.replace("<job_id>", job_id).replace("<key_id>", "0a1b2c3d"), body
    lines = {"content": json.dumps("好").encode(), "headers": {"content-type": "application/x-ndjson"}}
    yield "POST", "/v1/jobs", lines
    yield "POST", "/v1/jobs", {"json": {"text": "好"}, "headers": {"Idempotency-Key": "k"}}
    yield "POST", "/v1/jobs", {"json": {"text": "好"}, "headers": {"Prefer": "wait=20"}}
    yield "GET", f"/v1/jobs/{job_id}", {"headers": {"Prefer": "wait=20"}}
    yield "GET", f"/v1/jobs/{job_id}/results?follow=true", {"headers": {"accept": "application/x-ndjson"}}


def assert_unavailable(http: httpx2.Client, job_id: str) -> None:
    for method, path, options in calls(job_id):
        started = time.monotonic()
        answer = http.request(method, path, **options)
        seconds = time.monotonic() - started
        assert answer.headers["content-type"] == "application/problem+json", (method, path)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), (method, path)
        assert int(answer.headers["retry-after"]) >= 1
        assert seconds < 2, (method, path, seconds)
    assert http.get("/livez").status_code == 200


@pytest.mark.timeout(300)
def test_every_path_answers_503_soon_without_redis_and_works_again_with_it(tmp_path: Path) -> None:
    data = tmp_path / "redis"
    with Group() as group:
        server, url = start_redis(group, data_dir=data)
        with (
            started_stack(tmp_path, redis_url=url, SENTIMENT_CONCURRENCY="1") as stack,
            httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
            ThreadPoolExecutor(1) as caller,
        ):
            before = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"Prefer": "wait=20"}).json()
            os.kill(server.pid, signal.SIGSTOP)
            try:
                # An answer of /readyz is good for a moment.
                eventually(lambda: http.get("/readyz").status_code == 503)
                assert_unavailable(http, before["id"])
            finally:
                os.kill(server.pid, signal.SIGCONT)
            eventually(lambda: http.get("/readyz").status_code == 200)
            held = caller.submit(http.get, f"/v1/jobs/{before['id']}/events")
            assert held.result(timeout=20).status_code == 200
            os.kill(server.pid, signal.SIGKILL)
            eventually(lambda: http.get("/readyz").status_code == 503)
            assert_unavailable(http, before["id"])
            start_redis(group, data_dir=data, port=int(url.rsplit(":", 1)[1].split("/")[0]))
            eventually(lambda: http.get("/readyz").status_code == 200)
            assert http.get(f"/v1/jobs/{before['id']}").json()["status"] == "succeeded"
            after = http.post("/predict", json={"text": "服务很贴心"})
            assert (after.status_code, after.json()["sentiment"]) == (200, "Positive")
            stack.check()
