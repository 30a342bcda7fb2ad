"""The summary of a job against its results, through HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx2
import pytest

from tests.api.test_jobs import finished
from tests.api.test_upload import lines, results, upload

BINS = 20
SHOPS = ["一店", "二店", 3, True]


def recounted(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Count items of a job's results in the plainest way, in the form of a summary."""
    every = list(items)
    scored = [item for item in every if item["error"] is None]
    confidence = Counter(min(int(item["confidence"] * BINS + 1e-9), BINS - 1) for item in scored)
    return {
        "items": len(every),
        "errors": len(every) - len(scored),
        "labels": dict(Counter(item["label"] for item in scored)),
        "mean_score": sum(item["score"] for item in scored) / len(scored) if scored else None,
        "uncertain": sum(item["uncertain"] for item in scored),
        "truncated": sum(item["truncated"] for item in scored),
        "confidence": [confidence[step] for step in range(BINS)],
    }


def told(tally: dict[str, Any]) -> dict[str, Any]:
    """Return the same numbers of a tally of the service."""
    labels = {each["label"]: each["items"] for each in tally["labels"] if each["items"]}
    same = ("items", "errors", "uncertain", "truncated", "confidence")
    return {name: tally[name] for name in same} | {
        "labels": labels,
        "mean_score": pytest.approx(tally["mean_score"], abs=2e-6),
    }


def check(summary: dict[str, Any], items: list[dict[str, Any]], field: str) -> None:
    """Compare a summary by a field of `data` with the items of the job."""
    assert recounted(items) == told(summary)
    codes = Counter(item["error"]["code"] for item in items if item["error"])
    assert summary["error_codes"] == codes
    rest = {item["index"] for item in items}
    for group in summary["groups"]:
        mine = [item for item in items if is_value((item.get("data") or {}).get(field), group["value"])]
        assert recounted(mine) == told(group), group["value"]
        rest -= {item["index"] for item in mine}
    assert recounted(item for item in items if item["index"] in rest) == told(summary["other"])


def is_value(given: Any, value: Any) -> bool:
    return type(given) is type(value) and given == value


def given(count: int) -> list[dict[str, Any]]:
    """Return items of every kind: good, bad, long, empty, of four shops and of none."""
    texts = ["服务很贴心", "太难吃了", "", "一般般吧", "房间干净，隔音也好" * 60]
    items: list[dict[str, Any]] = [
        {"text": f"{texts[i % 5]}{i % 7 if i % 5 != 2 else ''}"} for i in range(count)
    ]
    for i, item in enumerate(items):
        if i % 6 != 5:
            item["data"] = {"day": i % 3, "shop": [*SHOPS, None][i % 6 % 5]}
    return items


def summary_of(http: httpx2.Client, job_id: str, by: str) -> dict[str, Any]:
    answer = http.get(f"/v1/jobs/{job_id}/summary", params={"by": by} if by else {})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def test_a_summary_is_a_recount_by_each_value_of_a_field(http: httpx2.Client) -> None:
    job = http.post("/v1/jobs", json={"items": given(120), "summarize_by": "shop"}).json()
    assert job["summarize_by"] == "shop"
    finished(http, job["id"])
    summary = summary_of(http, job["id"], "shop")
    assert (summary["complete"], summary["status"]) == (True, "partial")
    assert [group["value"] for group in summary["groups"]] == SHOPS
    check(summary, results(http, job["id"]), "shop")
    plain = summary_of(http, job["id"], "")
    assert plain == summary | {"groups": None, "other": None}


def test_lines_are_counted_by_a_field_too(http: httpx2.Client) -> None:
    job = upload(http, lines([*given(600), "没有资料"]), "summarize_by=day").json()
    finished(http, job["id"])
    summary = summary_of(http, job["id"], "day")
    assert [group["value"] for group in summary["groups"]] == [0, 1, 2]
    check(summary, results(http, job["id"]), "day")


@pytest.mark.parametrize(("field", "by"), [("shop", "day"), (None, "shop")])
def test_only_the_field_that_was_chosen_at_submit_counts(
    http: httpx2.Client, field: str | None, by: str
) -> None:
    job = http.post("/v1/jobs", json={"text": "好", "summarize_by": field}).json()
    answer = http.get(f"/v1/jobs/{job['id']}/summary", params={"by": by})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "?by"
    assert ("'shop'" if field else "none") in error["detail"]


@pytest.mark.parametrize("name", ["", "长" * 129])
def test_a_name_of_no_field_is_refused(http: httpx2.Client, name: str) -> None:
    answer = http.post("/v1/jobs", json={"text": "好", "summarize_by": name})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/summarize_by"


def test_a_deleted_job_has_no_summary(http: httpx2.Client) -> None:
    job = http.post("/v1/jobs", json={"text": "好"}, headers={"prefer": "wait=30"}).json()
    assert json.loads(http.get(job["links"]["summary"]).text)["items"] == 1
    http.delete(job["links"]["self"])
    assert http.get(job["links"]["summary"]).status_code == 410
