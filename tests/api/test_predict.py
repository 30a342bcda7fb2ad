from __future__ import annotations

import httpx2
import pytest


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
