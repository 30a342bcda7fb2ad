"""Results as pages, lines and rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from local.stack import Stack
from tests.api.test_jobs import finished
from tests.conftest import worker_of

LINES = {"accept": "application/x-ndjson"}
ROWS = {"accept": "text/csv"}


@pytest.fixture(scope="session")
def mixed(live: Stack) -> str:
    """A job of which every tenth item failed, in many chunks."""
    with httpx2.Client(base_url=live.url, timeout=60, trust_env=False) as http:
        given = [
            {"text": "" if i % 10 == 3 else f"第{i}次来了，服务很贴心", "id": f"r{i}"} for i in range(700)
        ]
        job_id: str = http.post("/v1/jobs", json={"items": given}).json()["id"]
        finished(http, job_id)
    return job_id


def read_lines(answer: httpx2.Response) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *items, end = [json.loads(line) for line in answer.iter_lines() if line]
    assert end["object"] == "end"
    assert end["returned"] == len(items)
    return items, end


def test_lines_are_the_items_in_input_order_and_an_end(http: httpx2.Client, mixed: str) -> None:
    items, end = read_lines(http.get(f"/v1/jobs/{mixed}/results", headers=LINES))
    assert [item["index"] for item in items] == list(range(700))
    page = http.get(f"/v1/jobs/{mixed}/results").json()
    assert page["data"] == items
    assert end == {
        "object": "end",
        "status": "partial",
        "returned": 700,
        "complete": True,
        "next_cursor": None,
    }


@pytest.mark.parametrize(("status", "count"), [("failed", 70), ("succeeded", 630), ("canceled", 0)])
def test_a_filter_holds_for_pages_and_streams(
    http: httpx2.Client, mixed: str, status: str, count: int
) -> None:
    path, seen, params = f"/v1/jobs/{mixed}/results", [], {"status": status, "limit": "41"}
    while True:
        page = http.get(path, params=params).json()
        seen += page["data"]
        if page["complete"]:
            break
        assert len(page["data"]) == 41
        params["cursor"] = page["next_cursor"]
    assert [item["status"] for item in seen] == [status] * count
    items, _ = read_lines(http.get(path, params={"status": status}, headers=LINES))
    assert items == seen


def test_a_stream_can_be_limited_and_read_on(http: httpx2.Client, mixed: str) -> None:
    path = f"/v1/jobs/{mixed}/results"
    first, end = read_lines(http.get(path, params={"limit": "101"}, headers=LINES))
    assert (len(first), end["complete"]) == (101, False)
    rest, end = read_lines(http.get(path, params={"cursor": end["next_cursor"]}, headers=LINES))
    assert [item["index"] for item in first + rest] == list(range(700))
    assert end["complete"] is True


def test_rows_have_a_head_and_a_row_an_item(http: httpx2.Client, mixed: str) -> None:
    answer = http.get(f"/v1/jobs/{mixed}/results", headers=ROWS)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(700)]
    good, bad = rows[0], rows[3]
    assert (good["status"], good["label"], good["label_zh"], good["truncated"]) == (
        *("succeeded", "positive"),
        *("正面", "false"),
    )
    assert (bad["status"], bad["label"], bad["error_code"]) == ("failed", "", "empty_text")
    assert float(good["confidence"]) > 0.5


def long_job(http: httpx2.Client, count: int = 300) -> dict[str, Any]:
    items = [{"text": f"质量很好，非常满意。就是快递太差了，第{i}次，非常失望！"} for i in range(count)]
    job: dict[str, Any] = http.post("/v1/jobs", json={"items": items, "explain": True}).json()
    return job


def test_a_follower_gets_every_item_once_as_it_ends_and_then_the_end(http: httpx2.Client) -> None:
    job = long_job(http)
    with http.stream("GET", f"/v1/jobs/{job['id']}/results?follow=true", headers=LINES) as answer:
        lines = (json.loads(line) for line in answer.iter_lines() if line)
        first = next(lines)
        assert http.get(f"/v1/jobs/{job['id']}").json()["poll_after_ms"] is not None, "it still runs"
        *items, end = [first, *lines]
    assert sorted(item["index"] for item in items) == list(range(300))
    assert (end["status"], end["returned"], end["complete"]) == ("succeeded", 300, True)


def test_a_follower_of_a_job_that_is_over_gets_all_at_once(http: httpx2.Client, mixed: str) -> None:
    path = f"/v1/jobs/{mixed}/results"
    items, end = read_lines(http.get(path, params={"follow": "true"}, headers=LINES))
    assert sorted(item["index"] for item in items) == list(range(700))
    assert end["complete"] is True
    part, end = read_lines(http.get(path, params={"follow": "true", "limit": "100"}, headers=LINES))
    rest, _ = read_lines(
        http.get(path, params={"follow": "true", "cursor": end["next_cursor"]}, headers=LINES)
    )
    assert part + rest == items


def test_a_follower_of_a_job_that_is_deleted_is_told(http: httpx2.Client) -> None:
    job = long_job(http, 1000)
    with http.stream("GET", f"/v1/jobs/{job['id']}/results?follow=true", headers=LINES) as answer:
        lines: Iterator[str] = (line for line in answer.iter_lines() if line)
        next(lines)
        http.delete(f"/v1/jobs/{job['id']}")
        *_, last = lines
    end = json.loads(last)
    assert (end["object"], end["complete"], end["error"]) == ("end", False, "job_deleted")


def test_a_stream_of_a_running_job_says_that_it_is_not_whole(http: httpx2.Client, live: Stack) -> None:
    children = worker_of(live).children()
    try:
        for child in children:
            child.suspend()
        job = long_job(http)
        items, end = read_lines(http.get(job["links"]["results"], headers=LINES))
    finally:
        for child in children:
            child.resume()
    assert (items, end["status"], end["complete"], end["next_cursor"]) == ([], "queued", False, "0.0")
    http.post(job["links"]["cancel"])


@pytest.mark.parametrize("query", ["follow=true", "follow=1", "status=done", "limit=1001"])
def test_a_bad_query_is_named(http: httpx2.Client, mixed: str, query: str) -> None:
    answer = http.get(f"/v1/jobs/{mixed}/results?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (
        422,
        f"?{query.split('=', maxsplit=1)[0]}",
    )
