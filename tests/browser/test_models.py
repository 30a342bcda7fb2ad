"""The page with models that the stack of the tests does not serve: documented answers stand for them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import TypeAdapter

from api.schemas.models import Models
from api.schemas.summaries import Summary

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Page, Route, expect

from tests.browser.files import as_csv, choose
from tests.browser.test_page import CONTRAST, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

MOODS: list[dict[str, Any]] = [
    {"id": "joy", "label_zh": "喜悦", "label_en": "Joy", "polarity": 1, "emoji": "😄"},
    {"id": "calm", "label_zh": "平静", "label_en": "Calm", "polarity": 0, "emoji": "😌"},
    {"id": "anger", "label_zh": "愤怒", "label_en": "Anger", "polarity": -1, "emoji": "😡"},
    {"id": "surprise", "label_zh": "惊讶", "label_en": "Surprise", "polarity": None, "emoji": "😮"},
]
PROBABILITIES = {"joy": 0.1, "calm": 0.05, "anger": 0.15, "surprise": 0.7}
IDLE = {
    "pending_items": 0,
    "deferred_items": 0,
    "paused_items": 0,
    "items_per_s": None,
    "wait_s": None,
    "accepting": True,
}


def model(name: str, kind: Literal["text", "pair"] = "text", *, default: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "id": name,
        "revision": "1",
        "labels": MOODS,
        "input": kind,
        "max_tokens": 256,
        "uncertain_below": 0.6,
        "measured": {},
        "default": default,
        "retiring": False,
        "workers": {"alive": 1, "children": 1},
        "classes": {"interactive": IDLE, "bulk": IDLE},
    }


def tell(
    page: Page, models: Sequence[dict[str, Any]], items: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Answer with these models, and each job with these items; return the bodies that are posted then."""
    listed, posted = {"object": "list", "data": list(models)}, list[dict[str, Any]]()
    TypeAdapter(Models).validate_python(listed)
    counts = {"total": len(items), "pending": 0}

    def job(route: Route) -> None:
        posted.append(route.request.post_data_json or {})
        name = posted[-1].get("model", models[0]["name"])
        done = {"id": "job_x", "status": "succeeded", "counts": counts, "model_name": name, "results": items}
        route.fulfill(json=done)

    page.route("**/v1/models", lambda route: route.fulfill(json=listed))
    page.route("**/v1/jobs", job)
    page.route("**/v1/jobs/job_x/summary", lambda route: route.fulfill(json=summary(items)))
    page.reload()
    expect(page.locator("#model")).to_contain_text("模型")
    return posted


def item(index: int, label: str) -> dict[str, Any]:
    return {
        "index": index,
        "status": "succeeded",
        "label": label,
        "label_zh": next(each["label_zh"] for each in MOODS if each["id"] == label),
        "confidence": 0.7,
        "probabilities": PROBABILITIES,
        "score": None,
        "uncertain": False,
        "truncated": False,
        "error": None,
    }


def summary(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    verdicts = [verdict for each in items for verdict in each.get("aspects", ())]
    aspects = [
        {"aspect": word, **tally([each for each in verdicts if each["aspect"] == word])}
        for word in dict.fromkeys(each["aspect"] for each in verdicts)
    ]
    told = {
        "object": "summary",
        "job_id": "job_x",
        "status": "succeeded",
        "complete": True,
        "summarize_by": None,
        **tally(verdicts or items),
        "error_codes": {},
        "groups": None,
        "other": None,
        "aspects": aspects or None,
        "other_aspects": tally([]) if aspects else None,
    }
    TypeAdapter(Summary).validate_python(told)
    return told


def tally(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    labels = [
        {
            "label": each["id"],
            "label_zh": each["label_zh"],
            "items": items_with(items, each["id"]),
            "share": 0.5,
        }
        for each in MOODS
    ]
    return {
        "items": len(items),
        "labels": labels,
        "mean_score": None,
        "uncertain": 0,
        "uncertain_share": 0.0,
        "truncated": 0,
        "truncated_share": 0.0,
        "errors": 0,
        "error_share": 0.0,
        "confidence": [len(items) if step == 14 else 0 for step in range(20)],
    }


def items_with(items: Sequence[dict[str, Any]], label: object) -> int:
    return sum(each.get("label") == label for each in items)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_label_has_its_own_name_face_and_legible_colour(
    page: Page, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    colours = set()
    for label in MOODS:
        tell(page, [model("moods")], [item(0, str(label["id"]))])
        submit(page, "没想到会这样")
        title = page.locator("#result h2")
        expect(title).to_have_text(str(label["label_zh"]))
        expect(page.locator("#result .emoji")).to_have_text(str(label["emoji"]))
        assert title.evaluate(CONTRAST) >= 4.5
        colours.add(title.evaluate("node => getComputedStyle(node).color"))
    assert len(colours) == len(MOODS)
    shown = ["惊讶70.0%", "愤怒15.0%", "喜悦10.0%", "平静5.0%"]
    expect(page.locator(".prob")).to_have_text(shown)


def test_the_chart_has_a_bar_for_each_label(page: Page) -> None:
    tell(page, [model("moods")], [item(0, "anger"), item(1, "surprise"), item(2, "surprise"), item(3, "joy")])
    submit(page, "一\n二\n三\n四", per_line=True)
    bars = ["😄 喜悦1 · 25.0%", "😌 平静0 · 0.0%", "😮 惊讶2 · 50.0%", "😡 愤怒1 · 25.0%"]
    expect(page.locator(".chart li")).to_have_text(bars)
    expect(page.locator(".split").last.locator("span")).to_have_count(3)
    expect(page.locator("tbody td.label")).to_have_text(["😡 愤怒", "😮 惊讶", "😮 惊讶", "😄 喜悦"])


def test_one_of_several_models_is_chosen(page: Page) -> None:
    posted = tell(page, [model("moods"), model("plain", default=True)], [item(0, "joy")])
    choice = page.get_by_role("combobox", name="模型")
    expect(choice).to_have_value("plain")
    choice.select_option("moods")
    submit(page, "好")
    expect(page.locator("#result h2")).to_contain_text("喜悦")
    assert posted == [{"text": "好", "model": "moods"}]


def test_a_single_model_needs_no_choice(page: Page) -> None:
    posted = tell(page, [model("moods")], [item(0, "joy")])
    expect(page.get_by_role("combobox", name="模型")).to_be_hidden()
    submit(page, "好")
    expect(page.locator("#result h2")).to_contain_text("喜悦")
    assert posted == [{"text": "好"}]


def aspects_item(index: int, **labels: str) -> dict[str, Any]:
    """Return an item with a verdict on each aspect."""
    plain = {"probabilities": PROBABILITIES, "score": None, "confidence": 0.7}
    rest = item(index, "joy")
    for name in ("label", "label_zh", "confidence", "uncertain"):
        del rest[name]
    return rest | {"aspects": [{"aspect": word, "label": label, **plain} for word, label in labels.items()]}


def test_aspects_are_asked_of_a_model_that_reads_pairs(page: Page) -> None:
    posted = tell(page, [model("pairs", "pair")], [aspects_item(0, 口味="joy", 服务="anger")])
    expect(page.get_by_role("switch", name="逐句判断")).to_be_hidden()
    page.get_by_label("方面", exact=True).fill("口味、服务，")
    submit(page, "味道好，服务差")
    expect(page.locator(".aspects li")).to_have_text(["口味😄 喜悦70.0%", "服务😡 愤怒70.0%"])
    assert posted == [{"text": "味道好，服务差", "aspects": ["口味", "服务"]}]
    page.get_by_label("方面", exact=True).fill(" 、")
    submit(page, "味道好，服务差")
    expect(page.get_by_role("alert")).to_contain_text("写出要看的方面")


def test_the_chart_has_a_bar_for_each_aspect(page: Page) -> None:
    items = [aspects_item(0, 口味="joy", 服务="anger"), aspects_item(1, 口味="joy")]
    tell(page, [model("pairs", "pair")], [items[0] | {"unfamiliar": True}, items[1]])
    page.get_by_label("方面", exact=True).fill("口味、服务")
    submit(page, "一\n二", per_line=True)
    bars = page.locator(".by-aspect li")
    expect(bars.locator(".name")).to_have_text(["口味", "服务"])
    expect(bars.locator(".number")).to_have_text(["2", "1"])
    expect(bars.locator(".sr")).to_have_text(["共 2 条，😄 喜悦 2", "共 1 条，😡 愤怒 1"])
    expect(page.locator("tbody td.label .badge")).to_have_text(["用词陌生"])


def test_a_file_gets_a_verdict_on_each_aspect(page: Page, tmp_path: Path) -> None:
    items = [aspects_item(0, 口味="joy", 服务="anger"), aspects_item(1, 口味="calm")]
    texts = ["汤很鲜，等了很久", "还行"]
    lines = [json.dumps(each | {"text": text}) for each, text in zip(items, texts, strict=True)]
    end = {"object": "end", "status": "succeeded", "returned": 2, "complete": True, "next_cursor": None}
    asked = list[str]()

    def upload(route: Route) -> None:
        asked.append(route.request.url)
        done = {"id": "job_x", "object": "job", "status": "succeeded", "counts": {"total": 2, "pending": 0}}
        terms = {"model_name": "pairs", "keep_texts": True, "summarize_by": None, "error": None}
        metadata = {"file": "a.csv", "text_column": "评论", "text_index": "0"}
        route.fulfill(json=done | terms | {"metadata": metadata})

    tell(page, [model("pairs", "pair")], items)
    page.route("**/v1/jobs?*", upload)
    page.route("**/v1/jobs/job_x", upload)
    page.route("**/job_x/results", lambda route: route.fulfill(body="\n".join([*lines, json.dumps(end), ""])))
    choose(page, "a.csv", as_csv([["评论"], *([text] for text in texts)]).encode())
    page.locator(".preview").get_by_label("方面", exact=True).fill("口味、服务")
    page.locator("#file-start").click()
    rows = page.locator(".grid tbody tr")
    expect(rows.first.locator(".aspects li")).to_have_text(["口味😄 喜悦70.0%", "服务😡 愤怒70.0%"])
    assert parse_qs(urlsplit(asked[0]).query)["aspects"] == ["口味,服务"]
    page.get_by_label("只看").select_option("calm")
    expect(rows).to_have_count(1)
    with page.expect_download() as coming:
        page.get_by_role("button", name="下载 CSV").click()
    coming.value.save_as(tmp_path / "a.csv")
    header, first, second = csv.reader((tmp_path / "a.csv").read_text("utf-8-sig").splitlines())
    names = [f"{aspect} {what}" for aspect in ("口味", "服务") for what in ("label", "confidence", "score")]
    assert header == ["评论", *names, "error"]
    assert first == [texts[0], "joy", "0.7", "", "anger", "0.7", "", ""]
    assert second == [texts[1], "calm", "0.7", "", "", "", "", ""]
