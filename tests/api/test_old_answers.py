"""Requests as they were answered while packs had two labels: each still gets that answer.

`old_answers.json` was recorded with `tests/packs/two_labels`, a pack of random weights in fp32.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import started_stack

PACK = Path(__file__).parents[1] / "packs" / "two_labels"
EXCHANGES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("old_answers.json").read_text("utf-8"))
# What differs from job to job, or from moment to moment.
VARYING = {"id", "job_id", "links", "instance", "request_id", "retry_of", "location", "content-disposition"}
JOB_ID = re.compile(r"\bjob_[0-9A-Z]{26,}")
HEADERS = ("content-type", "location", "preference-applied", "x-complete", "x-next-cursor", "retry-after")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    settings = {"SENTIMENT_PACK": str(PACK), "SENTIMENT_CONCURRENCY": "1"}
    with (
        started_stack(tmp_path_factory.mktemp("old"), **settings) as stack,
        httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def answer_of(client: httpx2.Client, exchange: dict[str, Any], jobs: list[str]) -> dict[str, Any]:
    """Send a request; `{job}` in its path is the last job that one of these requests made."""
    sent = exchange["request"]
    path = sent["path"].replace("{job}", jobs[-1] if jobs else "")
    body = sent.get("text", json.dumps(sent.get("json")) if "json" in sent else None)
    got = client.request(sent["method"], path, content=body, headers=sent.get("headers", {}))
    if "location" in got.headers:
        jobs.append(got.headers["location"].rpartition("/")[2])
    headers = {name: got.headers[name] for name in HEADERS if name in got.headers}
    return {"status": got.status_code, "headers": headers, "body": parsed(got)}


def parsed(answer: httpx2.Response) -> Any:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if kind == "text/csv":
        return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    if kind == "application/x-ndjson":
        return [json.loads(line) for line in answer.text.split("\n") if line]
    return answer.json() if answer.content else None


def kept(old: Any, new: Any) -> Any:
    """Return the parts of a new answer that the old one had; numbers that are equal but for rounding."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {name: kept(value, new[name]) for name, value in old.items() if name in new}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [kept(*pair) for pair in zip(old, new, strict=True)]
    return old if close(old, new) else new


def close(old: Any, new: Any) -> bool:
    try:
        return not isinstance(old, bool) and abs(float(old) - float(new)) < 2e-6
    except (TypeError, ValueError):
        return False


def steady(answer: Any) -> Any:
    """Return an answer without ids, times and links of jobs."""
    if isinstance(answer, list):
        return list(map(steady, answer))
    if not isinstance(answer, dict):
        return JOB_ID.sub("job_", answer) if isinstance(answer, str) else answer
    a_job = answer.get("object") == "job" or "instance" in answer
    return {
        name: steady(value)
        for name, value in answer.items()
        if not (name.endswith("_at") or (name in VARYING and (name != "id" or a_job)))
    }


def test_every_old_request_gets_its_old_answer(client: httpx2.Client) -> None:
    jobs: list[str] = []
    for exchange in EXCHANGES:
        old, new = exchange["answer"], steady(answer_of(client, exchange, jobs))
        assert kept(old, new) == old, exchange["request"]
