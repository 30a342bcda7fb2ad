"""Jobs that are canceled without a worker, or whose API process is killed during the upload."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import redis

from local.redis_server import redis_server
from tests.conftest import eventually, started_stack, worker_of

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.mark.timeout(200)
def test_a_job_canceled_without_workers_stays_canceled_when_one_starts(tmp_path: Path) -> None:
    with redis_server() as url:
        with started_stack(tmp_path, redis_url=url) as stack, httpx2.Client(base_url=stack.url) as http:
            worker = worker_of(stack)
            children = worker.children()
            worker.kill()
            psutil.wait_procs([worker, *children], timeout=10)
            items = [{"text": f"第{i}次来了，服务很贴心"} for i in range(1000)]
            canceled, kept = (http.post("/v1/jobs", json={"items": items}).json() for _ in range(2))
            answer = http.post(f"/v1/jobs/{canceled['id']}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (202, "canceled"), (
                "no child holds a lease"
            )
        with started_stack(tmp_path, redis_url=url) as stack, httpx2.Client(base_url=stack.url) as http:
            path = f"/v1/jobs/{kept['id']}"
            eventually(lambda: http.get(path).json()["poll_after_ms"] is None, within_s=60)
            job = http.get(f"/v1/jobs/{canceled['id']}").json()
            assert (job["status"], job["counts"]["canceled"], job["started_at"]) == ("canceled", 1000, None)
            assert http.get(path).json()["counts"]["succeeded"] == 1000


@pytest.mark.timeout(200)
def test_an_upload_whose_api_process_was_killed_ends_with_what_arrived(tmp_path: Path) -> None:
    go = threading.Event()

    def endless() -> Iterator[bytes]:
        yield "".join(json.dumps(f"第{i}次来了") + "\n" for i in range(2500)).encode()
        go.wait(60)

    with (
        redis_server() as url,
        started_stack(tmp_path, redis_url=url) as stack,
        ThreadPoolExecutor(1) as caller,
    ):
        store: Any = redis.Redis.from_url(url)
        former = set(store.scan_iter("sentiq:idempotency:*"))
        sent = caller.submit(
            httpx2.post, f"{stack.url}/v1/jobs", content=endless(), headers=NDJSON | {"Idempotency-Key": "k"}
        )
        (job_id,) = eventually(lambda: store.zrange("sentiq:uploads", 0, -1))
        api = next(psutil.Process(process.pid) for process in stack.processes if process.name == "api")
        for process in (api, *api.children()):
            process.kill()
        go.set()
        with pytest.raises(httpx2.TransportError):
            sent.result(timeout=60)
        record = f"sentiq:job:{job_id.decode()}"
        eventually(lambda: int(store.hget(record, "succeeded") or 0) == int(store.hget(record, "total") or 1))
        assert store.hget(record, "uploading"), "it has not been idle for ten minutes yet"
        (key,) = set(store.scan_iter("sentiq:idempotency:*")) - former
        assert 0 < store.pttl(key) <= 600_000, "the key can be used again then, too"
        store.zadd("sentiq:uploads", {job_id: 1})
        eventually(lambda: store.hget(record, "status") == b"succeeded")
        assert store.hget(record, "error") == b"upload_incomplete"
        assert 0 < int(store.hget(record, "total") or 0) <= 2500
