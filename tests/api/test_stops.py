"""The start and the stop of the API: what is refused, and what those who wait are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from local.ports import free_port
from tests.conftest import MODEL_NAME, eventually

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"]


@contextmanager
def gunicorn(log: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start gunicorn; yield it and its URL without waiting for it."""
    port = str(free_port())
    env = os.environ | {"AUTH": "none", "PORT": port, "SENTIMENT_DEFAULT_MODEL": MODEL_NAME, **variables}
    with log.open("wb") as file:
        process = subprocess.Popen(
            COMMAND, cwd=ROOT, env=env, stdout=file, stderr=file, start_new_session=True
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", trust_env=False).is_success
    except httpx2.TransportError:
        return False


def waiting_items(url: str) -> int:
    classes = httpx2.get(f"{url}/v1/queue", trust_env=False).json()["classes"]
    return sum(each["pending_items"] for each in classes.values())


def test_who_waits_is_told_that_the_service_stops(redis_url: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path / "log", REDIS_URL=redis_url) as (process, url), ThreadPoolExecutor() as callers:
        eventually(lambda: ready(url))
        job = httpx2.post(f"{url}/v1/jobs", json={"items": [{"text": "好"}]}, trust_env=False).json()

        def call(method: str, path: str, **request: object) -> Future[httpx2.Response]:
            return callers.submit(
                httpx2.request,
                method,
                url + path,
                timeout=60,
                trust_env=False,
                **request,  # type: ignore[arg-type]
            )

        predictions = [
            call("POST", "/predict", json={"text": "好"}),
            call("POST", "/predict_batch", json={"texts": ["好", "坏"]}),
        ]
        rows = call("GET", f"/v1/jobs/{job['id']}/results?follow=true", headers={"accept": "text/csv"})
        held = call("GET", f"/v1/jobs/{job['id']}", headers={"prefer": "wait=30"})
        eventually(lambda: waiting_items(url) == 4)
        time.sleep(0.3)  # all of them wait
        process.terminate()
        for prediction in predictions:
            answer = prediction.result(20)
            problem = answer.json()
            assert (answer.status_code, problem["code"]) == (503, "service_stopping")
            assert "stops" in problem["detail"]
            assert f"/v1/jobs/{problem['job_id']}" in problem["detail"]
            assert answer.headers["retry-after"] == "1"
        assert held.result(20).json()["status"] == "queued"
        with pytest.raises(httpx2.RemoteProtocolError):
            rows.result(20)
        assert process.wait(10) == 0
    assert "Traceback" not in (tmp_path / "log").read_text("utf-8")


def test_a_stop_does_not_wait_for_the_connection_of_an_answered_request(
    redis_url: str, tmp_path: Path
) -> None:
    with (
        gunicorn(tmp_path / "log", REDIS_URL=redis_url) as (process, url),
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as client,
        ThreadPoolExecutor() as callers,
    ):
        eventually(lambda: ready(url))
        waiting = callers.submit(client.post, "/v1/jobs", json={"text": "好"}, headers={"prefer": "wait=30"})
        eventually(lambda: waiting_items(url) == 1)
        process.terminate()
        assert waiting.result(20).status_code == 202
        # The client keeps its connection, as libraries do; `make up` kills what takes 15 s.
        assert process.wait(14) == 0


@pytest.mark.parametrize("processes", [1, 4])
def test_a_stop_during_the_start_reaches_every_worker(redis_url: str, tmp_path: Path, processes: int) -> None:
    log = tmp_path / "log"
    variables = {"REDIS_URL": redis_url, "SENTIMENT_API_PROCESSES": str(processes)}
    with gunicorn(log, **variables) as (process, _):
        # Right after its fork a worker has neither loaded the app nor installed a handler.
        eventually(lambda: "Booting worker" in log.read_text("utf-8"))
        process.terminate()
        assert process.wait(20) == 0, "a worker missed the signal: it was killed after its grace of 35 s"


def test_gunicorns_own_variable_cannot_change_where_the_api_listens(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    variables = {"REDIS_URL": redis_url, "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{free_port()}"}
    with gunicorn(log, **variables) as (process, _):
        assert process.wait(30) != 0
    (line,) = log.read_text("utf-8").splitlines()
    assert line.startswith("api: GUNICORN_CMD_ARGS is set")


def test_a_header_is_no_mount_point(redis_url: str, tmp_path: Path) -> None:
    with gunicorn(tmp_path / "log", REDIS_URL=redis_url) as (_, url):
        eventually(lambda: ready(url))
        answer = httpx2.post(
            f"{url}/v1/jobs", json={"text": "好"}, headers={"SCRIPT_NAME": "/evil"}, trust_env=False
        )
        assert answer.json()["links"]["self"] == f"/v1/jobs/{answer.json()['id']}"
