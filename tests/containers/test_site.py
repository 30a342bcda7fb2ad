"""Through nginx, without TLS and with it: the page, waits, streams and uploads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from deploy.containers import Project
from samples.composed import composed_texts
from tests.conftest import eventually
from tests.containers.conftest import url

MIB = 2**20
UPLOAD_BYTES = 50 * MIB
LINES = {"Accept": "application/x-ndjson"}
NDJSON = {"Content-Type": "application/x-ndjson"}


def bulk(site: httpx2.Client, count: int, seed: int) -> str:
    """Submit a job that keeps two children busy for a while; return its path."""
    items = [{"text": text * 4} for text in composed_texts(count, seed)]
    answer = site.post("/v1/jobs", json={"items": items})
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def test_the_page_and_all_its_files_are_served(site: httpx2.Client) -> None:
    page = site.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    parts = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(parts) >= 3
    for part in parts:
        answer = site.get(part)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache"), part
    assert "javascript" in site.get("/static/page.js").headers["content-type"]


def test_a_waiting_request_is_held_and_answered_with_the_verdict(site: httpx2.Client) -> None:
    answer = site.post("/v1/jobs", json={"text": "服务很贴心"}, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.json()["results"][0]["label"]) == (200, "positive")
    path = bulk(site, 400, seed=1)
    started = time.monotonic()
    held = site.get(path, headers={"Prefer": "wait=3"})
    assert time.monotonic() - started >= 2 or held.json()["status"] == "succeeded"
    site.post(f"{path}/cancel")


def test_results_are_streamed_as_items_finish(site: httpx2.Client) -> None:
    path = bulk(site, 400, seed=2)
    with site.stream("GET", f"{path}/results?follow=true", headers=LINES) as answer:
        lines = (json.loads(line) for line in answer.iter_lines() if line)
        first = next(lines)
        early = site.get(path).json()["counts"]["pending"]
        rest = list(lines)
    assert early > 0, "the first line came before the last text was scored"
    assert (rest[-1]["object"], rest[-1]["complete"]) == ("end", True)
    assert {item["index"] for item in [first, *rest[:-1]]} == set(range(400))


def test_events_arrive_one_by_one(site: httpx2.Client) -> None:
    path = bulk(site, 400, seed=3)
    with site.stream("GET", f"{path}/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: snapshot"
        early = site.get(path).json()["counts"]["pending"]
        names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert early > 0
    assert (names[0], names[-1]) == ("progress", "done")


def test_an_upload_of_50_megabytes_is_scored_while_it_arrives(site: httpx2.Client) -> None:
    mark = f"upload-{time.time_ns()}"
    seen: list[int] = []
    line = json.dumps({"text": "送得很快，" + "\u3000" * 9_900}, ensure_ascii=False).encode() + b"\n"
    count = UPLOAD_BYTES // len(line) + 1

    def accepted() -> int:
        """Return how many items of the upload are accepted so far."""
        jobs = site.get("/v1/jobs", params={"metadata.mark": mark}).json()["data"]
        return int(jobs[0]["counts"]["total"]) if jobs else 0

    def body() -> Iterator[bytes]:
        for number in range(count):
            yield line
            if number == count // 2:
                seen.append(eventually(accepted))

    answer = site.post("/v1/jobs", params={"metadata.mark": mark}, content=body(), headers=NDJSON)
    assert answer.status_code == 202, answer.text
    assert 0 < seen[0] < count
    path = answer.headers["location"]
    eventually(lambda: site.get(path).json()["counts"]["pending"] == 0, within_s=110)
    done = site.get(path).json()
    assert (done["status"], done["counts"]["succeeded"]) == ("succeeded", count)


@pytest.mark.parametrize("path", ["/predict", "/v1/jobs/lookup"])
def test_a_body_that_is_too_large_is_refused_with_the_limit(site: httpx2.Client, path: str) -> None:
    answer = site.post(path, content=b"x" * (5 * MIB + 1), headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (413, 413, "body_too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("5 MiB" in problem["detail"], problem["instance"]) == (True, path)


def test_a_flood_is_refused_with_a_problem_that_says_when_to_come_back(site: httpx2.Client) -> None:
    def flood() -> list[httpx2.Response]:
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda _: site.get("/flower/"), range(64)))
        assert {answer.status_code for answer in answers} <= {401, 429}
        return [answer for answer in answers if answer.status_code == 429]

    refused = eventually(flood, within_s=60)[0]
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "5")
    assert site.get("/readyz").status_code == 200
    eventually(lambda: site.get("/flower/").status_code == 401)


@pytest.mark.parametrize(
    "path", ["/", "/v1/info", "/static/page.js", "/metrics", "/flower", "/flower/", "/nothing"]
)
def test_with_tls_every_answer_asks_for_tls_from_now_on(site: httpx2.Client, path: str) -> None:
    with_tls = site.base_url.scheme == "https"
    assert site.get(path).headers.get_list("strict-transport-security") == ["max-age=31536000"] * with_tls


def test_metrics_are_not_public(site: httpx2.Client) -> None:
    assert site.get("/metrics").status_code == 404


def test_the_plain_port_serves_or_redirects_to_tls(site: httpx2.Client, stack: Project) -> None:
    with httpx2.Client(base_url=url(stack), trust_env=False) as plain:
        answer = plain.get("/v1/info?x=1")
        if site.base_url.scheme == "http":
            assert answer.status_code == 200
            return
        assert answer.status_code == 308
        assert answer.headers["location"] == f"https://127.0.0.1:{stack.env['TLS_PORT']}/v1/info?x=1"
        assert plain.get("/readyz").status_code == 403, "only the probe of the container may read it"
