"""Redis goes away in the middle of an upload: the same request is let in as soon as Redis is back."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import redis

from local.redis_server import redis_server
from tests.api.test_access import running_api
from tests.conftest import eventually

HEADERS = {"content-type": "application/x-ndjson", "idempotency-key": "k1"}
LINES = [json.dumps(f"第{i}次来").encode() + b"\n" for i in range(3000)]


def test_the_key_is_free_and_no_partial_job_stays(tmp_path: Path) -> None:
    with (
        redis_server() as redis_url,
        running_api(redis_url, tmp_path / "api.log", AUTH="none") as url,
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as api,
        ThreadPoolExecutor(1) as caller,
    ):
        client = redis.Redis.from_url(redis_url)
        server = psutil.Process(client.info("server")["process_id"])
        go = threading.Event()

        def slowly() -> Iterator[bytes]:
            yield b"".join(LINES[:2000])
            go.wait(30)
            yield b"".join(LINES[2000:])

        first = caller.submit(api.post, "/v1/jobs", content=slowly(), headers=HEADERS)
        eventually(lambda: client.keys("sentiq:job:*:chunks"))
        server.send_signal(signal.SIGSTOP)
        try:
            go.set()
            assert first.result(timeout=30).status_code == 503
        finally:
            server.send_signal(signal.SIGCONT)
        answers: list[int] = []

        def let_in() -> bool:
            answers.append(api.post("/v1/jobs", content=b"".join(LINES), headers=HEADERS).status_code)
            return answers[-1] == 202

        eventually(let_in, within_s=10)
        assert set(answers) <= {202, 409}
        (job,) = api.get("/v1/jobs").json()["data"]
        assert (job["counts"]["total"], job["error"]) == (3000, None)
