"""What a job may ask for beyond the plain verdict, and how the answer shows it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import httpx2
import pytest

PLAIN = {
    "on_long_text": "truncate",
    "sentences": False,
    "explain": False,
    "aspects": None,
    "probabilities": None,
}
MIXED = "质量很好，非常满意。就是快递太差了，非常失望！"
LONG = "，".join(["质量很好，非常满意"] * 28) + "，质量太差了，非常失望，再也不买了，垃圾" * 40
PARTS = ("label", "confidence", "positive_prob", "negative_prob", "score", "uncertain", "unfamiliar")


def done(http: httpx2.Client, **body: object) -> dict[str, Any]:
    answer = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def only(job: dict[str, Any]) -> dict[str, Any]:
    (item,) = job["results"]
    assert isinstance(item, dict)
    return item


def test_a_plain_job_says_so_and_its_item_has_nothing_more(http: httpx2.Client) -> None:
    job = done(http, text=MIXED)
    assert job["options"] == http.get(job["links"]["self"]).json()["options"] == PLAIN
    item = only(job)
    assert item["uncertain"] is (item["confidence"] < http.get("/v1/info").json()["model"]["uncertain_below"])
    assert not {"sentences", "highlights"} & set(item)


def test_results_say_which_texts_are_unfamiliar_in_every_format(http: httpx2.Client) -> None:
    job = done(http, items=[{"text": "龘龘好"}, {"text": MIXED}])
    assert [item["unfamiliar"] for item in job["results"]] == [True, False]
    kinds = ("application/x-ndjson", "text/csv")
    lines, rows = (http.get(job["links"]["results"], headers={"accept": kind}).text for kind in kinds)
    assert [json.loads(line)["unfamiliar"] for line in lines.split("\n")[:2]] == [True, False]
    assert [row["unfamiliar"] for row in csv.DictReader(io.StringIO(rows))] == ["true", "false"]


def test_a_job_repeats_its_options(http: httpx2.Client) -> None:
    job = http.post("/v1/jobs", json={"text": MIXED, "explain": True, "on_long_text": "window"}).json()
    expected = PLAIN | {"explain": True, "on_long_text": "window"}
    assert job["options"] == http.get(job["links"]["self"]).json()["options"] == expected


def test_sentences_come_with_offsets_and_verdicts(http: httpx2.Client) -> None:
    item = only(done(http, text=MIXED, sentences=True))
    assert "highlights" not in item
    assert [(each["start"], each["end"], each["label"]) for each in item["sentences"]] == [
        *((0, 10, "positive"), (10, 23, "negative"))
    ]
    for each in item["sentences"]:
        alone = only(done(http, text=MIXED[each["start"] : each["end"]]))
        assert {name: each[name] for name in PARTS} == {name: alone[name] for name in PARTS}


def test_highlights_come_with_offsets_and_weights(http: httpx2.Client) -> None:
    item = only(done(http, text=MIXED, explain=True))
    assert "sentences" not in item
    assert [MIXED[each["start"] : each["end"]] for each in item["highlights"]] == [
        *("质量很好，", "非常满意。", "就是快递太差了，", "非常失望！")
    ]
    assert sum(abs(each["weight"]) for each in item["highlights"]) == pytest.approx(1, abs=1e-5)
    praise, _, _, blame = (each["weight"] for each in item["highlights"])
    assert praise > 0 > blame


def test_a_long_text_is_cut_or_read_whole_or_rejected(http: httpx2.Client) -> None:
    cut = only(done(http, text=LONG))
    assert (cut["truncated"], cut["tokens"], cut["label"]) == (True, 256, "positive")
    whole = only(done(http, text=LONG, on_long_text="window"))
    assert (whole["truncated"], whole["tokens"], whole["label"]) == (False, cut["text_tokens"], "negative")
    job = done(http, items=[{"text": LONG}, {"text": MIXED}], on_long_text="reject")
    assert (job["status"], [item["status"] for item in job["results"]]) == (
        "partial",
        ["failed", "succeeded"],
    )
    assert job["results"][0]["error"] == {
        "code": "text_too_long",
        "message": f"The text has {cut['text_tokens']} tokens; the model reads at most 256 at once.",
    }


def test_jobs_that_run_together_each_get_what_they_asked_for(http: httpx2.Client) -> None:
    wanted: list[dict[str, object]] = [
        {}, {"explain": True}, {"sentences": True}, {"explain": True, "sentences": True}
    ]  # fmt: skip
    jobs = [http.post("/v1/jobs", json={"text": MIXED, **options}).json() for options in wanted * 5]
    for number, job in enumerate(jobs):
        seen = http.get(job["links"]["self"], params={"include": "results"}, headers={"Prefer": "wait=30"})
        item, options = only(seen.json()), wanted[number % 4]
        assert ("highlights" in item, "sentences" in item) == ("explain" in options, "sentences" in options)


@pytest.mark.parametrize("on_long_text", ["truncate", "window", "reject"])
@pytest.mark.parametrize("text", ["很好，𠮷太差了！" * 1250, "好" * 10_000], ids=["marks", "no mark"])
def test_the_longest_text_gets_all_that_can_be_asked(
    http: httpx2.Client, text: str, on_long_text: str
) -> None:
    item = only(done(http, text=text, on_long_text=on_long_text, sentences=True, explain=True))
    if on_long_text == "reject":
        assert item["error"]["code"] == "text_too_long"
        return
    assert 1 <= len(item["sentences"]) <= 128
    assert item["sentences"][-1]["end"] == len(text)
    assert 1 <= len(item["highlights"]) <= 32
    assert (item["highlights"][-1]["end"] == len(text)) is (on_long_text == "window")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_thousand_texts_are_explained_without_a_lapsed_lease(
    http: httpx2.Client, reviews: list[dict[str, str]]
) -> None:
    items = [{"text": f"{review['text']}，第{i}次"} for i in range(5) for review in reviews]
    job = http.post("/v1/jobs", json={"items": items, "explain": True}).json()
    while job["poll_after_ms"] is not None:
        job = http.get(job["links"]["self"], headers={"Prefer": "wait=30"}).json()
    assert (job["status"], job["counts"]["succeeded"]) == ("succeeded", 1000)
    page = http.get(job["links"]["results"]).json()
    assert {item["attempts"] for item in page["data"]} == {1}
    assert all(item["highlights"] for item in page["data"])
