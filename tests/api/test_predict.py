from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
import redis

from local.stack import Stack
from tests.api.test_access import running_api


def test_predict_answers_as_such_services_do(http: httpx2.Client) -> None:
    answer = http.post("/predict", json={"text": "这家餐厅太难吃了"})
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["text", "sentiment", "emoji", "confidence"]
    assert (body["text"], body["sentiment"], body["emoji"]) == ("这家餐厅太难吃了", "Negative", "😠")
    assert 0.5 < body["confidence"] <= 1
    assert "难吃" in answer.text, "UTF-8, not escaped"


def test_predict_batch_keeps_the_order(http: httpx2.Client) -> None:
    texts = ["服务很贴心", "这家餐厅太难吃了"] * 40 + ["物流太慢了，等了半个月"]
    body = http.post("/predict_batch", json={"texts": texts}).json()
    assert list(body) == ["results"]
    assert [result["text"] for result in body["results"]] == texts
    assert [result["sentiment"] for result in body["results"][:4]] == [*("Positive", "Negative")] * 2


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/predict", {"text": ""}, "/text"),
        ("/predict", {"text": "\u200b\ufeff\x00\u202e\ufe0f\ufffd"}, "/text"),
        ("/predict", {"text": "长" * 10_001}, "/text"),
        ("/predict", {}, "/text"),
        ("/predict", {"text": None}, "/text"),
        ("/predict_batch", {"texts": []}, "/texts"),
        ("/predict_batch", {"texts": ["好", ""]}, "/texts/1"),
        ("/predict_batch", {"texts": ["好", 3]}, "/texts/1"),
        ("/predict_batch", {"texts": ["好"] * 1001}, "/texts"),
    ],
)
def test_a_bad_field_is_named(http: httpx2.Client, path: str, body: object, pointer: str) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_nothing_stays_in_redis_once_it_is_answered(live: Stack, http: httpx2.Client) -> None:
    client = redis.Redis.from_url(live.redis_url)

    def jobs() -> set[bytes]:
        patterns = ("sentiq:job:*", "sentiq:tombstone:*", "sentiq:answer:*")
        return {key for pattern in patterns for key in client.scan_iter(pattern, count=10_000)}

    listed = http.get("/v1/jobs").json()["data"]
    before = jobs()
    for _ in range(3):
        assert http.post("/predict", json={"text": "这家餐厅太难吃了"}).status_code == 200
        assert http.post("/predict_batch", json={"texts": ["服务很贴心"] * 40}).status_code == 200
    assert jobs() <= before
    assert [job["id"] for job in http.get("/v1/jobs").json()["data"]] == [job["id"] for job in listed]


def test_what_was_not_finished_in_time_keeps_its_job(redis_url: str, tmp_path: Path) -> None:
    limits = {"AUTH": "none", "SENTIMENT_MAX_WAIT_S": "0.1"}
    with running_api(redis_url, tmp_path / "api.log", **limits) as url, httpx2.Client(base_url=url) as api:
        late = api.post("/predict", json={"text": "好"})
        assert (late.status_code, late.json()["code"]) == (504, "not_finished_in_time")
        assert api.get(f"/v1/jobs/{late.json()['job_id']}").json()["status"] == "queued"
        assert api.get("/v1/jobs").json()["data"] == []
