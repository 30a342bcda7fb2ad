"""Aspects over HTTP, with a pack of three labels and random weights that reads pairs (tests/packs/pairs)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tasks.vocabulary.options import MAX_ASPECT_CHARS, MAX_ASPECTS, Options
from tasks.vocabulary.verdicts import AspectVerdicts
from tests.conftest import started_stack
from worker.engines.factory import build_engine
from worker.packs.pack import load_pack
from worker.scoring.classifier import Classifier
from worker.scoring.question import Question

PACK = Path(__file__).parents[1] / "packs" / "pairs"
WORDS = ["口味", "服务", "价格"]
TEXTS = ["这家餐厅太难吃了", "服务很贴心", "物流太慢了，等了半个月"]
WAIT = {"prefer": "wait=20"}
LINES = {"content-type": "application/x-ndjson", "prefer": "wait=20"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    folder = tmp_path_factory.mktemp("aspects")
    with (
        started_stack(folder, SENTIMENT_PACK=str(PACK), SENTIMENT_CONCURRENCY="1") as stack,
        httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as client,
    ):
        yield client


def expected(text: str, aspects: list[str]) -> list[dict[str, Any]]:
    """Return the verdicts on a text's aspects, computed here."""
    pack = load_pack(PACK)
    engine = build_engine(pack, "openvino", device="cpu", threads=1)
    question = Question(text, Options(aspects=tuple(aspects)))
    (answer,) = Classifier(pack, engine, batch_tokens=1024).answer([question])
    assert isinstance(answer, AspectVerdicts)
    return [
        {
            "aspect": aspect,
            "label": verdict.label,
            "label_zh": verdict.label_zh,
            "confidence": pytest.approx(verdict.confidence, abs=2e-6),
            "probabilities": pytest.approx(verdict.probabilities, abs=2e-6),
            "score": pytest.approx(verdict.score, abs=2e-6),
            "uncertain": verdict.uncertain,
        }
        for aspect, verdict in answer.aspects
    ]


def test_every_item_has_a_verdict_on_each_aspect_and_none_on_the_whole(client: httpx2.Client) -> None:
    items = [{"text": text} for text in TEXTS] + [{"text": TEXTS[0], "aspects": ["环境"]}]
    job = client.post("/v1/jobs", json={"items": items, "aspects": WORDS}, headers=WAIT).json()
    assert (job["status"], job["options"]["aspects"]) == ("succeeded", WORDS)
    for text, item in zip(TEXTS, job["results"], strict=False):
        assert item["aspects"] == expected(text, WORDS)
        assert not {"label", "confidence", "score"} & item.keys()
        assert (item["model"], item["truncated"]) == ("pairs@fixed", False)
        assert item["unfamiliar"] is None, "the pack does not record what it has seen"
    assert job["results"][3]["aspects"] == expected(TEXTS[0], ["环境"])
    seen = {each["label"] for item in job["results"] for each in item["aspects"]}
    assert len(seen) > 1, "the pack tells aspects apart"


def test_rows_and_lines_have_the_aspects_too(client: httpx2.Client) -> None:
    lines = [json.dumps(TEXTS[0]), json.dumps({"text": TEXTS[1], "aspects": ["价格", "环境"]}), "{"]
    query = {"aspects": ",".join(WORDS)}
    job = client.post("/v1/jobs", content="\n".join(lines), params=query, headers=LINES).json()
    path = f"/v1/jobs/{job['id']}/results"
    streamed = client.get(path, headers={"accept": "application/x-ndjson"}).text.split("\n")
    read = [json.loads(line) for line in streamed if line][:3]
    assert [[each["aspect"] for each in item.get("aspects", [])] for item in read] == [
        WORDS, ["价格", "环境"], []
    ]  # fmt: skip
    answer = client.get(
        path, params={"columns": "index,aspect.价格,aspect.环境"}, headers={"accept": "text/csv"}
    )
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    labels = [{each["aspect"]: each["label"] for each in item.get("aspects", [])} for item in read]
    assert [(row["aspect.价格"], row["aspect.环境"]) for row in rows] == [
        (item.get("价格", ""), item.get("环境", "")) for item in labels
    ]
    summary = client.get(f"/v1/jobs/{job['id']}/summary").json()
    assert sum(each["items"] for each in summary["labels"]) == 5, "a verdict on each aspect"
    assert (summary["items"], summary["errors"]) == (3, 1)
    given = [(word, item[word]) for item in labels for word in item]
    assert [(each["aspect"], each["items"]) for each in summary["aspects"]] == [
        ("口味", 1), ("服务", 1), ("价格", 2), ("环境", 1)
    ]  # fmt: skip
    for each in summary["aspects"]:
        counted = {told["label"]: told["items"] for told in each["labels"] if told["items"]}
        assert counted == Counter(label for word, label in given if word == each["aspect"])
    assert summary["other_aspects"]["items"] == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"aspects": []}, "/aspects"),
        ({"aspects": ["价格", "价格"]}, "/aspects"),
        ({"aspects": ["\u200b"]}, "/aspects"),
        ({"aspects": [""]}, "/aspects/0"),
        ({"aspects": ["长" * (MAX_ASPECT_CHARS + 1)]}, "/aspects/0"),
        ({"aspects": [f"第{number}个" for number in range(MAX_ASPECTS + 1)]}, "/aspects"),
        ({"aspects": "价格"}, "/aspects"),
        ({"aspects": WORDS, "sentences": True}, "/sentences"),
        ({"aspects": WORDS, "explain": True}, "/explain"),
        ({}, "/aspects"),
    ],
)
def test_what_is_wrong_with_aspects_is_named(
    client: httpx2.Client, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/v1/jobs", json={"text": TEXTS[0]} | body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


def test_an_item_whose_aspects_do_not_fit_fails_alone(client: httpx2.Client) -> None:
    lines = [
        json.dumps({"text": TEXTS[0], "aspects": ["价格"]}),
        json.dumps({"text": TEXTS[1]}),
        json.dumps({"text": TEXTS[2], "aspects": ["价格", "价格"]}),
    ]
    job = client.post("/v1/jobs", content="\n".join(lines), headers=LINES).json()
    assert [(item["status"], (item["error"] or {}).get("code")) for item in job["results"]] == [
        ("succeeded", None),
        ("failed", "aspects_required"),
        ("failed", "invalid_aspects"),
    ]
    query = {"explain": "true"}
    both = client.post("/v1/jobs", content=lines[0], params=query, headers=LINES).json()
    assert both["results"][0]["error"]["code"] == "invalid_aspects"


def test_the_strict_get_no_job_where_aspects_do_not_fit(client: httpx2.Client, http: httpx2.Client) -> None:
    items = [{"text": TEXTS[0], "aspects": ["价格"]}, {"text": TEXTS[1]}]
    lines, strict = "\n".join(map(json.dumps, items)), {"strict": "true"}
    for service, code, index in ((client, "aspects_required", 1), (http, "aspects_unsupported", 0)):
        refused = service.post("/v1/jobs", json={"items": items}, params=strict)
        (error,) = refused.json()["errors"]
        assert (error["pointer"], error["code"]) == (f"/items/{index}/aspects", code)
        (error,) = service.post("/v1/jobs", content=lines, params=strict, headers=LINES).json()["errors"]
        assert (error["pointer"], error["code"]) == (f"/{index}", code)


def test_rows_without_aspects_are_refused_at_once(client: httpx2.Client) -> None:
    answer = client.post("/v1/jobs", content="text\n好\n", headers={"content-type": "text/csv"})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "?aspects", "aspects_required")


def test_predict_needs_a_model_that_reads_texts_alone(client: httpx2.Client) -> None:
    answer = client.post("/predict", json={"text": TEXTS[0]})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "aspects_required")


def test_the_words_of_aspects_are_gone_with_the_job(client: httpx2.Client) -> None:
    job = client.post("/v1/jobs", json={"text": TEXTS[0], "aspects": ["独特的词"]}, headers=WAIT).json()
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 410


def test_a_model_of_texts_alone_reads_no_aspects(http: httpx2.Client) -> None:
    answer = http.post("/v1/jobs", json={"text": TEXTS[0], "aspects": WORDS})
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "/aspects", "aspects_unsupported")
    job = http.post(
        "/v1/jobs", json={"items": [{"text": "好", "aspects": ["价格"]}, {"text": "好"}]}, headers=WAIT
    )
    assert [item["status"] for item in job.json()["results"]] == ["failed", "succeeded"]
