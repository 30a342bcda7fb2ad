"""Cancel, delete, retry, terms, list, lookup."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import httpx2
import pytest
import redis

from local.stack import Stack
from tests.api.test_jobs import finished
from tests.conftest import eventually, worker_of


def submit(http: httpx2.Client, texts: list[str], **terms: object) -> dict[str, Any]:
    body = {"items": [{"text": text} for text in texts], **terms}
    answer = http.post("/v1/jobs", json=body)
    assert answer.is_success, answer.text
    job: dict[str, Any] = answer.json()
    return job


def slow(http: httpx2.Client, **terms: object) -> dict[str, Any]:
    """A job that takes many seconds."""
    texts = [f"质量很好，非常满意。就是快递太差了，第{i}次，非常失望！" * 8 for i in range(200)]
    return submit(http, texts, explain=True, **terms)


def test_cancel_during_a_run_keeps_finished_items_and_ends_soon(http: httpx2.Client) -> None:
    job = slow(http)
    path = f"/v1/jobs/{job['id']}"
    eventually(lambda: http.get(path).json()["counts"]["succeeded"], within_s=60)
    asked = time.time()
    answer = http.post(f"{path}/cancel")
    assert answer.status_code == 202
    assert answer.json()["status"] in ("canceling", "canceled")
    job = http.get(path, headers={"Prefer": "wait=10"}).json()
    assert seconds(job["finished_at"]) - asked < 2
    counts = job["counts"]
    assert (job["status"], counts["pending"], job["poll_after_ms"]) == ("canceled", 0, None)
    assert counts["succeeded"] > 0
    assert counts["canceled"] > 0
    assert counts["succeeded"] + counts["canceled"] == counts["total"] == 200
    again = http.post(f"{path}/cancel")
    assert (again.status_code, again.json()["counts"]) == (200, counts)
    page = http.get(f"{path}/results").json()
    assert page["complete"] is True
    statuses = [item["status"] for item in page["data"]]
    assert (statuses.count("succeeded"), statuses.count("canceled")) == (
        *(counts["succeeded"], counts["canceled"]),
    )
    assert {item["error"]["code"] for item in page["data"] if item["error"]} == {"canceled"}


def test_a_deleted_job_is_gone_on_every_path_and_its_texts_with_it(http: httpx2.Client, live: Stack) -> None:
    job = slow(http)
    path = f"/v1/jobs/{job['id']}"
    eventually(lambda: http.get(path).json()["started_at"], within_s=60)
    assert http.delete(path).status_code == 204
    paths = [("GET", ""), ("GET", "/results"), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry")]
    for method, suffix in [*paths, ("DELETE", "")]:
        answer = http.request(method, path + suffix)
        assert (answer.status_code, answer.json()["code"]) == (410, "job_deleted"), suffix
    store = redis.Redis.from_url(worker_of(live).environ()["REDIS_URL"])
    assert not [key for key in store.scan_iter(f"*{job['id']}*") if b"tombstone" not in key]


def test_terms_are_shown_and_hold(http: httpx2.Client) -> None:
    terms = {"priority": "bulk", "deadline_s": 30, "result_ttl_s": 60, "metadata": {"批次": "七", "k": ""}}
    job = submit(http, ["服务很贴心"], **terms)
    done = finished(http, job["id"])
    for shown in (job, done):
        assert {name: shown[name] for name in terms} == terms
        assert (shown["retry_of"], shown["error"]) == (None, None)
    created, deadline, ended, expires = (
        *(done["created_at"], done["deadline_at"]),
        *(done["finished_at"], done["expires_at"]),
    )
    assert seconds(deadline) - seconds(created) == pytest.approx(30, abs=0.01)
    assert seconds(expires) - seconds(ended) == pytest.approx(60, abs=0.01)


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"priority": "urgent"}, "/priority"),
        ({"deadline_s": 0}, "/deadline_s"),
        ({"deadline_s": 604_801}, "/deadline_s"),
        ({"deadline_s": "9"}, "/deadline_s"),
        ({"result_ttl_s": 59}, "/result_ttl_s"),
        ({"result_ttl_s": 604_801}, "/result_ttl_s"),
        ({"metadata": {str(i): "" for i in range(17)}}, "/metadata"),
        ({"metadata": {"k": 1}}, "/metadata/k"),
        ({"metadata": {"k": "v" * 513}}, "/metadata/k"),
        ({"ttl": 60}, "/ttl"),
    ],
)
def test_bad_terms_are_named(http: httpx2.Client, terms: dict[str, object], pointer: str) -> None:
    answer = http.post("/v1/jobs", json={"text": "好", **terms})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


def test_the_failed_items_of_a_job_can_be_tried_again(http: httpx2.Client) -> None:
    texts = [f"质量很好，非常满意。第{i}次，非常失望！" * 20 for i in range(8)]
    items = [{"text": text, "id": f"i{number}"} for number, text in enumerate(texts)]
    first = uploaded(http, items, {"explain": "true", "deadline_s": "1", "metadata.k": "v"})
    early = http.post(f"/v1/jobs/{first['id']}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "job_not_finished")
    assert early.headers["retry-after"] == "1"
    done = eventually(lambda: over(http, first["id"]), within_s=60)
    assert (done["status"], done["counts"]["timed_out"] > 0) == ("timed_out", True)
    answer = http.post(f"/v1/jobs/{first['id']}/retry")
    retried = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{retried['id']}"
    assert (retried["retry_of"], retried["metadata"], retried["options"]["explain"]) == (
        *(first["id"], {"k": "v"}),
        True,
    )
    assert retried["counts"]["total"] == done["counts"]["timed_out"]
    missed = http.get(f"/v1/jobs/{first['id']}/results", params={"status": "timed_out"}).json()["data"]
    end = eventually(lambda: over(http, retried["id"]), within_s=60)
    again = http.get(f"/v1/jobs/{end['id']}/results").json()["data"]
    assert [item["id"] for item in again] == [item["id"] for item in missed]


def uploaded(http: httpx2.Client, items: list[dict[str, str]], terms: dict[str, str]) -> dict[str, Any]:
    """Submit items as lines: the size of an upload is not known, so any deadline is accepted."""
    lines, lined = "\n".join(map(json.dumps, items)), {"content-type": "application/x-ndjson"}
    job: dict[str, Any] = http.post("/v1/jobs", params=terms, content=lines.encode(), headers=lined).json()
    return job


def over(http: httpx2.Client, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=5"}).json()
    return job if job["poll_after_ms"] is None else {}


@pytest.mark.parametrize("texts", [["服务很贴心"], ["服务很贴心", ""]])
def test_nothing_to_retry_is_told(http: httpx2.Client, texts: list[str]) -> None:
    job = submit(http, texts)
    finished(http, job["id"])
    answer = http.post(f"/v1/jobs/{job['id']}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_retry")


def test_jobs_are_listed_by_metadata_status_and_time(http: httpx2.Client) -> None:
    tag = {"list": f"run {id(http)}"}
    jobs = [submit(http, ["服务很贴心"], metadata=tag | {"n": str(n)}) for n in range(5)]
    for job in jobs:
        finished(http, job["id"])
    params = {"metadata.list": tag["list"]}

    def ids(**more: str) -> list[str]:
        answer = http.get("/v1/jobs", params=params | more).raise_for_status().json()
        return [job["id"] for job in answer["data"]]

    newest_first = [job["id"] for job in reversed(jobs)]
    assert ids() == ids(status="succeeded") == newest_first
    assert ids(status="failed") == []
    assert ids(**{"metadata.n": "3"}) == [jobs[3]["id"]]
    assert ids(created_after=jobs[-1]["created_at"]) == ids(created_before=jobs[0]["created_at"]) == []
    wide = {"created_after": "2020-01-01T00:00:00Z", "created_before": "2999-01-01T00:00:00+08:00"}
    assert ids(**wide) == newest_first
    page = http.get("/v1/jobs", params=params | {"limit": "2"}).json()
    assert [job["id"] for job in page["data"]] == newest_first[:2]
    rest = http.get("/v1/jobs", params=params | {"cursor": page["next_cursor"]}).json()
    assert ([job["id"] for job in rest["data"]], rest["next_cursor"]) == (newest_first[2:], None)


@pytest.mark.parametrize(
    "query",
    [
        *("status=done", "limit=0", "limit=101", "cursor=job_x", "state=failed"),
        *("created_after=today", "created_before=2026-01-01T00:00:00", "created_after=0001-01-01T00:00:00Z"),
    ],
)
def test_a_bad_list_query_is_named(http: httpx2.Client, query: str) -> None:
    answer = http.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (
        422,
        f"?{query.split('=', maxsplit=1)[0]}",
    )


def test_many_jobs_are_looked_up_at_once_and_bad_ids_are_told_each(http: httpx2.Client) -> None:
    one, two = (submit(http, ["服务很贴心"]) for _ in range(2))
    http.delete(f"/v1/jobs/{two['id']}")
    ids = [one["id"], "nonsense", two["id"], one["id"]]
    answer = http.post("/v1/jobs/lookup", json={"ids": ids})
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [each["id"] for each in data] == ids
    assert [each["object"] for each in data] == ["job", "error", "error", "job"]
    assert [(each["error"]["status"], each["error"]["code"]) for each in data[1:3]] == [
        *((404, "job_not_found"), (410, "job_deleted"))
    ]
    assert http.post("/v1/jobs/lookup", json={"ids": [one["id"]] * 500}).status_code == 200
    for bad in ([], ["x"] * 501, [1]):
        assert http.post("/v1/jobs/lookup", json={"ids": bad}).status_code == 422
