"""Results as gzip for callers that ask for it."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from api.http.compression import gzipped
from local.stack import Stack
from tests.api.test_jobs import finished
from tests.api.test_upload import lines, texts, upload
from tests.conftest import eventually

LINES, ROWS, PAGE = "application/x-ndjson", "text/csv", "application/json"
ITEMS = 600


@pytest.fixture(scope="module")
def job_id(live: Stack) -> str:
    with httpx2.Client(base_url=live.url, timeout=60, trust_env=False) as http:
        items = [{"text": text} for text in texts(ITEMS)]
        job: str = http.post("/v1/jobs", json={"items": items}).json()["id"]
        finished(http, job)
    return job


def get(http: httpx2.Client, path: str, accept: str, encoding: str) -> tuple[httpx2.Response, bytes]:
    """Return the response and its bytes as they came."""
    headers = {"accept": accept, "accept-encoding": encoding}
    with http.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("query", ["", "?follow=true", "?limit=300"])
@pytest.mark.parametrize("accept", [PAGE, LINES, ROWS])
def test_who_asks_for_gzip_gets_the_same_in_less(
    http: httpx2.Client, job_id: str, accept: str, query: str
) -> None:
    if accept == PAGE and "follow" in query:
        query = "?status=succeeded"
    path = f"/v1/jobs/{job_id}/results{query}"
    plain, whole = get(http, path, accept, "identity")
    packed, less = get(http, path, accept, "br, gzip;q=0.5")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert plain.headers["content-type"] == packed.headers["content-type"]
    assert gzip.decompress(less) == whole
    assert len(less) < len(whole) / 4


@pytest.mark.parametrize("encoding", ["", "identity", "br", "gzip;q=0"])
def test_nobody_else_gets_it(http: httpx2.Client, job_id: str, encoding: str) -> None:
    answer, body = get(http, f"/v1/jobs/{job_id}/results?limit=200", LINES, encoding)
    assert "content-encoding" not in answer.headers
    assert body.count(b"\n") == 201


def test_a_short_page_is_sent_as_it_is(http: httpx2.Client, job_id: str) -> None:
    answer, body = get(http, f"/v1/jobs/{job_id}/results?limit=1", PAGE, "gzip")
    assert "content-encoding" not in answer.headers
    assert len(json.loads(body)["data"]) == 1


@pytest.mark.parametrize("accept", [LINES, ROWS])
def test_a_follower_gets_all_that_is_scored_while_the_job_is_open(http: httpx2.Client, accept: str) -> None:
    go, tag = threading.Event(), uuid.uuid4().hex

    def slowly() -> Iterator[bytes]:
        yield lines(texts(2500))
        go.wait(60)
        yield lines(texts(10))

    def look() -> dict[str, Any]:
        """Return the job when all that is recorded of it is scored."""
        found = http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]
        return found[0] if found and 0 == found[0]["counts"]["pending"] < found[0]["counts"]["total"] else {}

    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(upload, http, slowly(), f"metadata.tag={tag}")
        try:
            job = eventually(look, within_s=60)
            headers = {"accept": accept, "accept-encoding": "gzip"}
            with http.stream("GET", f"{job['links']['results']}?follow=true", headers=headers) as follower:
                assert follower.headers["content-encoding"] == "gzip"
                seen = follower.iter_lines()
                awaited = job["counts"]["total"] + (accept == ROWS)
                got = [line for _, line in zip(range(awaited), filter(None, seen), strict=False)]
                assert len(got) == awaited
                assert http.get(job["links"]["self"]).json()["uploading"]
        finally:
            go.set()
        assert answer.result(timeout=60).status_code == 202


def test_what_goes_in_comes_out_before_the_next_block_is_asked_for() -> None:
    seen, unpacker = b"", zlib.decompressobj(zlib.MAX_WBITS | 16)
    given = [b"a" * 10, b"\n", b"b" * 5000]

    def blocks() -> Iterator[bytes]:
        sent = b""
        for block in given:
            assert seen == sent
            sent += block
            yield block

    for packed in gzipped(blocks(), at_once=True):
        seen += unpacker.decompress(packed)
    assert seen == b"".join(given)
    assert unpacker.eof
