from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b"", 400, "invalid_json", None),
        (b'{"text"', 400, "invalid_json", None),
        (b'{"text":"\xff"}', 400, "invalid_json", None),
        (b"[]", 422, "invalid_request", ""),
        (b"{}", 422, "invalid_request", ""),
        (b'{"text":"a","items":[{"text":"a"}]}', 422, "invalid_request", ""),
        (b'{"text":5}', 422, "invalid_request", "/text"),
        (b'{"text":"  "}', 422, "invalid_request", "/text"),
        (b'{"txt":"a"}', 422, "invalid_request", "/txt"),
        (b'{"text":"a","on_long_text":"cut"}', 422, "invalid_request", "/on_long_text"),
        (b'{"text":"a","sentences":"yes"}', 422, "invalid_request", "/sentences"),
        (b'{"text":"a","explain":1}', 422, "invalid_request", "/explain"),
        (b'{"text":"a","explian":true}', 422, "invalid_request", "/explian"),
        (b'{"items":[{"text":"a","explain":true}]}', 422, "invalid_request", "/items/0/explain"),
        (b'{"items":[]}', 422, "invalid_request", "/items"),
        (b'{"items":[{"text":"a","lang":"zh"}]}', 422, "invalid_request", "/items/0/lang"),
        (b'{"items":[{"id":"1"}]}', 422, "invalid_request", "/items/0/text"),
        (b'{"items":[{"text":"a","id":7}]}', 422, "invalid_request", "/items/0/id"),
    ],
)
def test_a_bad_body_is_told_what_is_wrong_with_it(
    http: httpx2.Client, body: bytes, status: int, code: str, pointer: str | None
) -> None:
    answer = http.post("/v1/jobs", content=body, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= set(problem)
    if pointer is not None:
        assert pointer in [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ({"on_long_text": "cut"}, "'truncate', 'window' or 'reject'"),
        ({"sentences": "yes"}, "true or false"),
        ({"explain": None}, "true or false"),
    ],
)
def test_a_bad_option_is_told_its_values(http: httpx2.Client, option: dict[str, object], values: str) -> None:
    answer = http.post("/v1/jobs", json={"text": "好", **option})
    assert answer.status_code == 422
    assert values in answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "body", [{"texts": [1] * 300_000}, {"texts": ["a"], **{f"x{i}": 1 for i in range(200_000)}}]
)
def test_a_hostile_body_gets_a_short_answer(http: httpx2.Client, body: dict[str, object]) -> None:
    answer = http.post("/predict_batch", json=body)
    assert answer.status_code == 422
    assert len(answer.content) < 2000


def test_a_body_in_chunks_is_held_to_the_same_limit(http: httpx2.Client) -> None:
    def body(size: int) -> Iterator[bytes]:
        yield b'{"text":"'
        for _ in range(size):
            yield b"a" * 1000
        yield b'"}'

    assert http.post("/v1/jobs", content=body(9), headers=JSON).status_code == 202
    assert http.post("/v1/jobs", content=body(5000), headers=JSON).status_code == 413


def test_limits_are_named(http: httpx2.Client) -> None:
    many = http.post("/v1/jobs", json={"items": [{"text": "好"}] * 1001})
    assert many.status_code == 422
    assert "1001 given; at most 1000" in many.json()["detail"]
    large = http.post("/v1/jobs", json={"text": "好" * 2_000_000})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert "4194304" in large.json()["detail"]


def test_other_content_types_are_refused(http: httpx2.Client) -> None:
    answer = http.post("/v1/jobs", content=b'{"text":"a"}', headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("suffix", ["", "/results"])
def test_an_id_that_never_was_is_not_found(http: httpx2.Client, suffix: str) -> None:
    real = http.post("/v1/jobs", json={"text": "好"}).json()["id"]
    for job_id in ("job_nonsense", real[:-1] + ("A" if real[-1] != "A" else "B")):
        answer = http.get(f"/v1/jobs/{job_id}{suffix}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


BAD_PAGES = ["limit=0", "limit=1001", "limit=x", "limit=²", "limt=2", "cursor=x", "cursor=-1.0", "cursor=9.0"]


@pytest.mark.parametrize("query", BAD_PAGES)
def test_a_bad_page_query_is_refused(http: httpx2.Client, query: str) -> None:
    job_id = http.post("/v1/jobs", json={"text": "好"}).json()["id"]
    answer = http.get(f"/v1/jobs/{job_id}/results?{query}")
    name, _ = query.split("=")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"?{name}")


@pytest.mark.parametrize(
    ("path", "query", "detail"),
    [
        ("/v1/jobs", "limit=101", "?limit: Input should be less than or equal to 100"),
        ("/v1/jobs", "limit=5&limit=6", "?limit: it is given 2 times; give it once"),
        ("/v1/jobs", "metadata.a=1&metadata.a=1", "?metadata.a: it is given 2 times"),
        ("/v1/jobs", f"cursor={'x' * 300}", "?cursor: String should have at most 256 characters"),
        ("/v1/jobs", f"metadata.a={'x' * 600}", "?metadata.a: String should have at most 512 characters"),
        ("/v1/jobs", "limit=1.0", "?limit: Input should be a whole number"),
        ("/v1/jobs", "state=queued", "?state: no such parameter; known: status, created_after, "),
        ("/v1/jobs", "created_after=2026-01-31", "?created_after: Input should be a time with an offset"),
        (
            "/v1/jobs",
            "metadata=a&metadata.a=b",
            "?metadata: it has fields; give each of them, as metadata.NAME=",
        ),
        ("/v1/jobs/job_x", "include=all", "?include: Input should be 'results'"),
        ("/v1/jobs/job_x/events", "a=b", "?a: no such parameter; known: none"),
        ("/v1/jobs/job_x/results", "follow=1", "?follow: Input should be true or false"),
        ("/v1/jobs/job_x/results", "limit=1001", "?limit: Input should be less than or equal to 1000"),
    ],
)
def test_a_bad_query_is_told_the_parameter_and_its_limit(
    http: httpx2.Client, path: str, query: str, detail: str
) -> None:
    answer = http.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "invalid_value")
    assert answer.json()["detail"].startswith(detail)


def test_a_stream_may_be_as_long_as_an_upload(http: httpx2.Client) -> None:
    path, lines = "/v1/jobs/job_x/results", {"accept": "application/x-ndjson"}
    assert http.get(f"{path}?limit=1000000", headers=lines).status_code == 404
    answer = http.get(f"{path}?limit=1000001", headers=lines)
    assert (answer.status_code, answer.json()["detail"][-7:]) == (422, "1000000")


def test_an_upload_is_told_how_fields_of_a_parameter_are_given(http: httpx2.Client) -> None:
    lines = {"content-type": "application/x-ndjson"}
    answer = http.post("/v1/jobs?webhook=https://a.example", content='"好"', headers=lines)
    detail = "?webhook: it has fields; give each of them, as webhook.NAME=VALUE"
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)


@pytest.mark.parametrize("query", ["strict=1", "strikt=true"])
def test_a_typo_in_a_query_is_told(http: httpx2.Client, query: str) -> None:
    assert http.post(f"/v1/jobs?{query}", json={"text": "好"}).status_code == 422


def test_the_callers_request_id_comes_back_and_a_bad_one_does_not(http: httpx2.Client) -> None:
    assert http.get("/livez", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert http.get("/livez", headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"
