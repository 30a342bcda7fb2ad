"""The first page in a real Chromium, against a running service (`live_url`: API, Redis and a worker)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Page, Route, expect

from tests.conftest import eventually, held, worker_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack

POSITIVE = "房间干净，隔音也好，老板很热情，下次还来"
NEGATIVE = "汤洒了一半，盒子都泡烂了，打商家电话也不接，太差了"
MIXED = "房间很干净，服务也很热情！就是早餐太难吃了，不推荐。"
# WCAG's contrast of an element's text against its background as painted over the card.
CONTRAST = """node => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const luminance = (...layers) => {
    for (const layer of layers) {
      context.fillStyle = layer;
      context.fillRect(0, 0, 1, 1);
    }
    const linear = [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)].map((byte) => byte / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722;
  };
  const [card, own] = [node.closest(".card"), node].map((each) => getComputedStyle(each));
  const [dark, light] = [luminance(own.color), luminance(card.backgroundColor, own.backgroundColor)]
    .sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
}"""
VERDICT_WITHIN_MS = 30_000  # a cold worker loads its model first
OUTCOME_WITHIN_MS = 10_000


def submit(page: Page, text: str, *, per_line: bool = False) -> None:
    """Write into the box and press the button."""
    page.get_by_label("要判断的文字").fill(text)
    page.get_by_role("switch", name="每行一条").set_checked(per_line)
    page.get_by_role("button", name="分析").click()


def refuse(status: int, extension: dict[str, Any]) -> Callable[[Route], None]:
    """Make a route handler that answers every call with a problem."""
    problem = {
        "title": "No",
        "status": status,
        "detail": "told by a test",
        "code": "no",
        "request_id": "req_42",
    }
    body = json.dumps(problem | extension)

    def handler(route: Route) -> None:
        route.fulfill(status=status, content_type="application/problem+json", body=body)

    return handler


@pytest.mark.parametrize(("text", "emoji", "verdict"), [(POSITIVE, "😊", "正面"), (NEGATIVE, "😠", "负面")])
def test_one_text_gets_its_verdict(page: Page, text: str, emoji: str, verdict: str) -> None:
    submit(page, text)
    result = page.locator("#result")
    expect(result.locator("h2")).to_have_text(verdict, timeout=VERDICT_WITHIN_MS)
    expect(result.locator(".emoji")).to_have_text(emoji)
    expect(page.locator("#message")).to_be_hidden()

    confidence = float(result.locator(".confidence strong").inner_text().rstrip("%"))
    assert 50 <= confidence <= 100
    page.wait_for_timeout(900)  # the bar grows for 0.7 s
    track, filled = result.locator(".bar").bounding_box(), result.locator(".bar > span").bounding_box()
    assert track is not None
    assert filled is not None
    assert filled["width"] / track["width"] * 100 == pytest.approx(confidence, abs=1)


def test_the_verdict_comes_with_its_job_and_a_curl_line(page: Page) -> None:
    submit(page, "it's 好吃")
    link = page.get_by_role("link", name="查看任务 JSON")
    expect(link).to_be_visible(timeout=VERDICT_WITHIN_MS)
    href = link.get_attribute("href")
    assert href is not None
    job = page.request.get(str(page.evaluate("location.origin")) + href).json()
    assert job["results"][0]["label"] == "positive"
    expect(page.locator("#curl")).to_contain_text(r"""-d '{"text":"it'\''s 好吃"}'""")


def test_ctrl_enter_submits(page: Page) -> None:
    page.get_by_label("要判断的文字").fill(POSITIVE)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#result h2")).to_contain_text("正面", timeout=VERDICT_WITHIN_MS)


def test_an_example_is_one_click(page: Page) -> None:
    page.get_by_role("button", name="五条一起").click()
    expect(page.locator("tbody tr")).to_have_count(5, timeout=VERDICT_WITHIN_MS)


def test_lines_become_a_table_in_their_order(page: Page) -> None:
    submit(page, f"{POSITIVE}\n\n{NEGATIVE}\n  {POSITIVE}，五星\n", per_line=True)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(3, timeout=VERDICT_WITHIN_MS)
    for row, text, verdict in zip(
        rows.all(), [POSITIVE, NEGATIVE, f"{POSITIVE}，五星"], ["😊 正面", "😠 负面", "😊 正面"], strict=True
    ):
        expect(row.locator("td.text")).to_have_text(text)
        expect(row.locator("td.label")).to_contain_text(verdict)
    expect(page.locator(".summary")).to_have_text(re.compile(r"共 3 条.*正面 2.*负面 1"))


def test_the_summary_of_lines_is_a_chart(page: Page) -> None:
    submit(page, f"{POSITIVE}\n{NEGATIVE}\n{POSITIVE}，五星", per_line=True)
    rows = page.locator(".chart li")
    expect(rows).to_have_text([re.compile("😊 正面.*2 · 66.7%"), re.compile("😠 负面.*1 · 33.3%")])
    found = summary(page)
    expect(page.locator(".chart figcaption")).to_contain_text(f"平均分 {found['mean_score']:.2f}")
    first = next(step for step, items in enumerate(found["confidence"]) if items)
    columns = page.locator(".histogram span")
    expect(columns).to_have_count(20 - first)
    shares = [
        column.evaluate("node => getComputedStyle(node).getPropertyValue('--share')")
        for column in columns.all()
    ]
    most = max(found["confidence"])
    assert list(map(float, shares)) == pytest.approx([items / most for items in found["confidence"][first:]])
    expect(page.get_by_role("img", name="置信度的分布")).to_be_visible()


def test_shares_show_while_a_job_runs(page: Page, live: Stack) -> None:
    children = worker_of(live).children()
    with held(children), page.expect_response(re.compile(r"/v1/jobs(\?|$)")) as created:
        submit(page, "\n".join(f"{NEGATIVE}，第 {number} 次" for number in range(900)), per_line=True)
    job = f"{live.url}/v1/jobs/{created.value.json()['id']}"
    with held(children[1:]):  # the other child needs seconds for 900 texts
        eventually(lambda: page.request.get(job).json()["counts"]["succeeded"])
    with held(children):
        assert page.request.get(job).json()["counts"]["pending"]
        expect(page.locator("#progress-chart .split span").first).to_be_visible()
        page.get_by_role("button", name="不等了").click()
        expect(page.get_by_role("alert")).to_contain_text("任务还在", timeout=OUTCOME_WITHIN_MS)
        expect(page.locator("#progress-chart")).to_be_empty()
    page.request.post(f"{job}/cancel")  # others wait for this stack too


def test_more_lines_than_a_job_carries_inline_all_come(page: Page) -> None:
    submit(page, "\n".join(f"{POSITIVE}，第 {number} 次" for number in range(1, 121)), per_line=True)
    expect(page.locator("tbody tr")).to_have_count(120, timeout=2 * VERDICT_WITHIN_MS)
    expect(page.locator("tbody tr").last).to_contain_text("第 120 次")


def test_markup_in_a_text_stays_text(page: Page) -> None:
    text = "<img src=x onerror=alert(1)>味道很好"
    submit(page, f"{text}\n{NEGATIVE}", per_line=True)
    expect(page.locator("tbody tr td.text").first).to_have_text(text, timeout=VERDICT_WITHIN_MS)
    expect(page.locator("#result img")).to_have_count(0)


@pytest.mark.parametrize("text", ["", " \n　"])
def test_nothing_written_is_said_kindly(page: Page, text: str) -> None:
    submit(page, text)
    expect(page.get_by_role("alert")).to_contain_text("先写点什么吧")
    expect(page.get_by_label("要判断的文字")).to_be_focused()


def test_an_overlong_text_names_the_limit(page: Page) -> None:
    limit = page.request.get(f"{page.evaluate('location.origin')}/v1/info").json()["limits"]["max_text_chars"]
    submit(page, "长" * (limit + 1))
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("文字太长")
    expect(alert).to_contain_text(f"上限 {limit:,} 字")


def test_an_unreachable_service_is_explained(page: Page) -> None:
    page.route("**/v1/jobs*", lambda route: route.abort("connectionrefused"))
    submit(page, POSITIVE)
    expect(page.get_by_role("alert")).to_contain_text("连不上服务", timeout=OUTCOME_WITHIN_MS)
    expect(page.get_by_role("button", name="分析")).to_be_enabled()


@pytest.mark.parametrize(
    ("status", "extension", "said"),
    [
        (422, {"errors": [{"pointer": "/text", "code": "x", "detail": "is bad"}]}, "内容没有通过检查"),
        (429, {"retry_after_s": 7}, "7 秒后再试"),
        (503, {}, "服务正忙或暂不可用"),
    ],
)
def test_a_refusal_is_explained(page: Page, status: int, extension: dict[str, Any], said: str) -> None:
    page.route("**/v1/jobs*", refuse(status, extension))
    submit(page, POSITIVE)
    alert = page.get_by_role("alert")
    for part in [said, "told by a test", "req_42", *(["/text：is bad"] if status == 422 else [])]:
        expect(alert).to_contain_text(part)


def test_a_queue_without_a_worker_is_hinted_at_and_can_be_left(page: Page) -> None:
    job = {"id": "job_x", "status": "queued", "poll_after_ms": 200, "counts": {"total": 1, "pending": 1}}
    page.route("**/v1/jobs**", lambda route: route.fulfill(status=202, json=job))
    submit(page, POSITIVE)
    expect(page.locator("#progress")).to_contain_text("排队中")
    expect(page.locator("#progress-hint")).to_contain_text("worker 在运行吗", timeout=OUTCOME_WITHIN_MS)
    page.get_by_role("button", name="不等了").click()
    expect(page.get_by_role("alert")).to_contain_text("任务还在", timeout=OUTCOME_WITHIN_MS)
    expect(page.get_by_role("link", name="查看任务 JSON")).to_have_attribute(
        "href", "/v1/jobs/job_x?include=results"
    )
    expect(page.locator("#progress")).to_be_hidden()


def ask(page: Page, *names: str, on_long_text: str = "truncate") -> None:
    """Set the options."""
    for name in ("逐句判断", "标出理由"):
        page.get_by_role("switch", name=name).set_checked(name in names)
    page.get_by_label("太长时").select_option(on_long_text)


def results(page: Page) -> list[dict[str, Any]]:
    """Return the items of the job that is shown, as the service tells them."""
    href = page.get_by_role("link", name="查看任务 JSON").get_attribute("href")
    assert href is not None
    items: list[dict[str, Any]] = page.request.get(str(page.evaluate("location.origin")) + href).json()[
        "results"
    ]
    return items


def summary(page: Page) -> dict[str, Any]:
    """Return the summary of the job that is shown."""
    found: dict[str, Any] = page.request.get(f"{job_url(page)}/summary").json()
    return found


def job_url(page: Page) -> str:
    """Return the URL of the job that is shown."""
    href = page.get_by_role("link", name="查看任务 JSON").get_attribute("href") or ""
    return str(page.evaluate("location.origin")) + href.partition("?")[0]


def test_clauses_are_marked_by_their_pull_and_not_by_colour_alone(page: Page) -> None:
    ask(page, "标出理由")
    submit(page, MIXED)
    marks = page.locator(".explained mark")
    expect(marks).to_have_count(4, timeout=VERDICT_WITHIN_MS)
    expect(page.locator(".legend")).to_contain_text("拉向正面")
    (item,) = results(page)
    for mark, told in zip(marks.all(), item["highlights"], strict=True):
        kind, sign = ("negative", "\N{MINUS SIGN}") if told["weight"] < 0 else ("positive", "+")
        pull = {"positive": "拉向正面", "negative": "拉向负面"}[kind]
        expect(mark).to_have_class(kind)
        expect(mark).to_contain_text("".join([*MIXED][told["start"] : told["end"]]))
        share = f"{sign}{abs(told['weight']):.3f}"
        assert (mark.get_attribute("title") or "").endswith(f"{pull}: {share}")
        stroke = mark.evaluate("node => getComputedStyle(node).borderBottomStyle")
        assert stroke == {"positive": "solid", "negative": "dashed"}[kind]
        if abs(told["weight"]) >= 0.05:
            expect(mark.locator("sup")).to_contain_text(sign)
    strongest = page.locator(".explained mark.negative").first
    assert strongest.evaluate("node => getComputedStyle(node).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_sentences_are_listed_with_their_verdicts(page: Page) -> None:
    ask(page, "逐句判断", "标出理由")
    submit(page, MIXED)
    lines = page.locator(".sentences li")
    expect(lines).to_have_count(2, timeout=VERDICT_WITHIN_MS)
    expect(lines.nth(0).locator(".own")).to_contain_text("正面")
    expect(lines.nth(1).locator(".own")).to_contain_text("负面")
    expect(lines.nth(0).locator("mark")).to_have_count(2)
    expect(page.locator("#curl")).to_contain_text('"sentences":true,"explain":true}')


def test_each_line_of_a_table_is_explained(page: Page) -> None:
    ask(page, "标出理由")
    submit(page, f"{MIXED}\n{NEGATIVE}", per_line=True)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2, timeout=VERDICT_WITHIN_MS)
    expect(rows.nth(0).locator("mark")).to_have_count(4)
    expect(rows.nth(1).locator("mark")).to_have_count(4)


@pytest.mark.parametrize("confidence", [0.7, 0.9])
def test_a_close_call_wears_a_badge(page: Page, confidence: float) -> None:
    uncertain = confidence < 0.75

    def answer(route: Route) -> None:
        job = route.fetch().json()
        job["results"][0]["uncertain"] = uncertain
        route.fulfill(json=job)

    page.route("**/v1/jobs", answer)
    submit(page, POSITIVE)
    expect(page.locator("#result h2")).to_be_visible(timeout=VERDICT_WITHIN_MS)
    expect(page.locator(".badge")).to_have_count(int(uncertain))


def test_a_long_text_says_how_much_of_it_was_read(page: Page) -> None:
    text = POSITIVE * 30
    submit(page, text)
    note = page.locator("#result .note")
    expect(note).to_be_visible(timeout=VERDICT_WITHIN_MS)
    (item,) = results(page)
    expect(note).to_contain_text(f"只读了前 {item['tokens']} / {item['text_tokens']} 个词元")
    assert item["tokens"] < item["text_tokens"]
    ask(page, on_long_text="window")
    submit(page, text)
    expect(page.locator("#curl")).to_contain_text("window", timeout=VERDICT_WITHIN_MS)
    expect(note).to_have_count(0)
    ask(page, on_long_text="reject")
    submit(page, text)
    expect(page.get_by_role("alert")).to_contain_text(
        f"The text has {item['text_tokens']} tokens", timeout=VERDICT_WITHIN_MS
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_strongest_mark_is_legible(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    ask(page, "标出理由")
    for text in ("太差了", "很好"):
        submit(page, text)
        mark = page.locator(".explained mark")
        expect(mark).to_contain_text(text, timeout=VERDICT_WITHIN_MS)
        assert mark.evaluate(CONTRAST) >= 4.5


@pytest.mark.parametrize("names", [(), ("逐句判断", "标出理由")])
def test_nothing_overflows_a_narrow_phone(page: Page, names: tuple[str, ...]) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    ask(page, *names)
    submit(page, f"{POSITIVE}{'长' * 200}\n{MIXED}", per_line=True)
    expect(page.locator("tbody tr")).to_have_count(2, timeout=VERDICT_WITHIN_MS)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator(".scroll").evaluate("node => node.scrollWidth - node.clientWidth") == 0
