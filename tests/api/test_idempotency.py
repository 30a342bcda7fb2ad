from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.api.test_jobs import finished
from tests.api.test_lifecycle import uploaded
from tests.conftest import eventually

NDJSON = {"content-type": "application/x-ndjson"}


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def test_two_hundred_identical_requests_at_once_make_one_job(http: httpx2.Client, live_url: str) -> None:
    headers, tag = key(), uuid.uuid4().hex
    body = {"items": [{"text": "服务很贴心"}], "metadata": {"tag": tag}}
    limits = httpx2.Limits(max_connections=200)
    with (
        httpx2.Client(base_url=live_url, timeout=60, limits=limits, trust_env=False) as client,
        ThreadPoolExecutor(200) as callers,
    ):
        start = threading.Barrier(200)

        def call(_: int) -> httpx2.Response:
            start.wait()
            return client.post("/v1/jobs", json=body, headers=headers)

        answers = list(callers.map(call, range(200)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]) == 1


def test_a_replay_shows_the_job_as_it_is_and_another_body_is_refused(http: httpx2.Client) -> None:
    headers = key()
    first = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers=headers)
    assert "idempotent-replayed" not in first.headers
    finished(http, first.json()["id"])
    # The same in other words: what a default says may be said.
    again = http.post("/v1/jobs", json={"explain": False, "text": "服务很贴心"}, headers=headers)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "succeeded")
    for other in ({"text": "服务不贴心"}, {"text": "服务很贴心", "explain": True}):
        answer = http.post("/v1/jobs", json=other, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    http.delete(f"/v1/jobs/{first.json()['id']}")
    gone = http.post("/v1/jobs", json={"text": "服务很贴心"}, headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (410, "job_deleted")


@pytest.mark.parametrize("bad", ["", "a b", "x" * 256, "é"])
def test_a_bad_key_is_named(http: httpx2.Client, bad: str) -> None:
    answer = http.post("/v1/jobs", json={"text": "好"}, headers=[(b"Idempotency-Key", bad.encode("latin-1"))])
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")


def test_an_upload_is_in_flight_until_it_is_whole_and_replayed_after(http: httpx2.Client) -> None:
    same_key, go, tag = key(), threading.Event(), uuid.uuid4().hex
    headers, path = NDJSON | same_key, f"/v1/jobs?metadata.tag={tag}"
    lines = [json.dumps(f"第{i}次来").encode() + b"\n" for i in range(3000)]

    def slowly() -> Iterator[bytes]:
        yield b"".join(lines[:2000])
        go.wait(30)
        yield b"".join(lines[2000:])

    with ThreadPoolExecutor(1) as caller:
        first = caller.submit(http.post, path, content=slowly(), headers=headers)
        try:
            eventually(lambda: http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"])
            early = http.post("/v1/jobs", json={"text": "好"}, headers=same_key)
        finally:
            go.set()
        job = first.result(timeout=60).json()
    assert (early.status_code, early.json()["code"]) == (409, "idempotency_key_in_flight")
    assert early.headers["retry-after"] == "1"
    again = http.post(path, content=b"".join(lines), headers=headers)
    assert (again.headers["idempotent-replayed"], again.json()["id"]) == ("true", job["id"])
    packed = http.post(
        path, content=gzip.compress(b"".join(lines)), headers=headers | {"Content-Encoding": "gzip"}
    )
    assert packed.json()["id"] == job["id"], "what counts is what was said, not how it was packed"
    other = http.post(path, content=b"".join(lines[1:]), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_a_retry_is_replayed_too(http: httpx2.Client) -> None:
    texts = [{"text": f"质量很好，非常满意，非常失望！第{i}次" * 20} for i in range(40)]
    job = uploaded(http, texts, {"explain": "true", "deadline_s": "1"})
    finished(http, job["id"])
    headers = key()
    one, two = (http.post(f"/v1/jobs/{job['id']}/retry", headers=headers) for _ in range(2))
    assert one.json()["id"] == two.json()["id"] != job["id"]
    assert "idempotent-replayed" not in one.headers
    assert two.headers["idempotent-replayed"] == "true"
    http.post(f"/v1/jobs/{one.json()['id']}/cancel")
