"""Every view and state in both languages: axe finds nothing serious, nothing overflows; pictures are kept.

The pictures are in `.run/screens`, or in the folder that SCREENS names: state, language, width and theme.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Browser, Page, expect

from local.stack import Stack
from tests.api.test_access import made
from tests.browser.apis import OwnApi
from tests.browser.conftest import opened
from tests.browser.files import DONE_WITHIN_MS, as_csv, choose, score, table

ROOT = Path(__file__).parents[2]
AXE = ROOT / ".run/axe/node_modules/axe-core/axe.min.js"
SCREENS = Path(os.environ.get("SCREENS") or ROOT / ".run/screens")
WIDTHS = {360: 740, 768: 1024, 1440: 900}
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Where axe looks, by language: colours are those of the theme, the order of things that of the width.
LOOKED_AT = {"zh-CN": {(1440, "light"), (360, "dark")}, "en-GB": {(768, "light")}}
SERIOUS = ("serious", "critical")
FOUND = """() => axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations
  .map(({ id, impact, nodes }) => ({ id, impact,
    where: nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`) })))"""
Look = Callable[[Page, str], None]


def serious(page: Page) -> list[dict[str, Any]]:
    """Return what axe finds on the page as it is now."""
    found: list[dict[str, Any]] = page.evaluate(FOUND)
    return [each for each in found if each["impact"] in SERIOUS]


@pytest.fixture(params=LOOKED_AT)
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def look(locale: str) -> Iterator[Look]:
    """Return a function that looks at a state in each width and theme; what is wrong fails the test's end."""
    assert AXE.exists(), "axe-core is missing: make e2e installs it"
    axe, wrong = AXE.read_text("utf-8"), list[str]()
    SCREENS.mkdir(parents=True, exist_ok=True)

    def look(page: Page, state: str) -> None:
        page.evaluate(f"window.axe || (() => {{ {axe} }})()")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            for theme in THEMES:
                page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                path = SCREENS / f"{state}-{locale[:2]}-{width}-{theme}.png"
                page.screenshot(path=path, full_page=True)
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    wrong.append(f"{path.name} is wider than the window")
                if (width, theme) in LOOKED_AT[locale]:
                    wrong.extend(f"{path.name}: {each}" for each in serious(page))

    yield look
    assert wrong == []


@pytest.fixture
def shown(chromium: Browser, live_url: str, locale: str) -> Iterator[Page]:
    with opened(chromium, live_url, locale=locale) as page:
        expect(page.locator("#model")).to_contain_text("sentiq-zh-small")
        yield page


MIXED = "房间很干净，服务也很热情！就是早餐太难吃了，不推荐。"


def analyze(page: Page, text: str, *, per_line: bool = False) -> None:
    page.locator("#text").fill(text)
    page.locator("#per-line").set_checked(per_line)
    page.locator("#submit").click()


def test_one_text_in_every_state(shown: Page, look: Look) -> None:
    look(shown, "text-empty")
    analyze(shown, " ")
    expect(shown.locator("#message")).to_be_visible()
    look(shown, "text-error")
    shown.locator("[name=explain]").first.check()
    shown.locator("[name=sentences]").first.check()
    analyze(shown, MIXED)
    expect(shown.locator(".sentences li")).to_have_count(2, timeout=DONE_WITHIN_MS)
    look(shown, "text-verdict")
    shown.locator("[name=explain]").first.uncheck()
    shown.locator("[name=sentences]").first.uncheck()
    analyze(shown, "\n".join([MIXED, "太差了", "很好", "房间干净" * 40]), per_line=True)
    expect(shown.locator("#result tbody tr")).to_have_count(4, timeout=DONE_WITHIN_MS)
    look(shown, "text-lines")
    shown.locator("#model").click()
    shown.locator("#key").click()
    look(shown, "key")


def test_a_file_before_its_job_in_every_state(shown: Page, look: Look) -> None:
    shown.locator("[data-view=file]").click()
    look(shown, "file-choose")
    choose(shown, "twice.csv", "评论,店名,评论\n好,a,b\n".encode())
    expect(shown.locator("#file-message")).to_be_visible()
    look(shown, "file-error")
    choose(shown, "reviews.csv", as_csv(table(60)).encode())
    expect(shown.locator("#file-start")).to_be_visible()
    look(shown, "file-preview")
    shown.route("**/v1/jobs?*", lambda route: route.abort("connectionrefused"))
    shown.locator("#file-start").click()
    expect(shown.locator(".trouble")).not_to_be_empty()
    look(shown, "file-offline")
    shown.locator("[data-view=jobs]").click()
    expect(shown.locator(".stopped")).to_be_visible()
    look(shown, "jobs-interrupted")


def test_a_job_of_a_file_in_every_state(shown: Page, look: Look) -> None:
    rows = [*table(60), ["南山店", "", "空白"], ["南山店", "长" * 10_001, "太长"]]
    score(shown, "reviews.csv", as_csv(rows).encode(), by="店名")
    look(shown, "file-result")
    shown.locator("#grid-search").fill("没有这个词")
    expect(shown.locator(".grid tbody tr")).to_have_count(0)
    look(shown, "file-nothing-found")
    shown.locator("#grid-search").fill("")
    shown.locator("#grid-label").select_option("failed")
    expect(shown.locator(".grid tbody tr")).to_have_count(2)
    expect(shown.locator(".grid tbody tr").last.locator(".text")).to_contain_text("长长长")
    look(shown, "file-failed-rows")
    many = [["评论"], *([f"第 {at} 位客人说房间干净，隔音也好"] for at in range(20_000))]
    choose_again(shown, as_csv(many).encode())
    expect(shown.locator(".live-chart .split")).to_be_visible(timeout=DONE_WITHIN_MS)
    look(shown, "file-scoring")
    shown.locator("[data-view=jobs]").click()
    expect(shown.locator(".jobs progress").first).to_be_visible()
    look(shown, "jobs-list")
    shown.locator(".jobs .actions-cell button").nth(1).click()
    look(shown, "jobs-confirm")
    shown.keyboard.press("Escape")
    shown.locator(".jobs .actions-cell button").first.click()
    expect(shown.locator(".jobs .state.canceled").first).to_be_visible(timeout=DONE_WITHIN_MS)
    shown.locator(".jobs a").first.click()
    expect(shown.locator(".job-head .state.canceled")).to_be_visible(timeout=DONE_WITHIN_MS)
    look(shown, "file-canceled")
    shown.goto(f"{shown.url.partition('#')[0]}#file/job_x")
    expect(shown.locator("#file-message")).to_be_visible()
    look(shown, "file-missing")


def choose_again(page: Page, content: bytes) -> None:
    page.locator("[data-view=file]").click()
    choose(page, "many.csv", content)
    page.locator("#file-start").click()


def test_the_service_without_a_key_and_without_jobs(
    live: Stack, chromium: Browser, tmp_path: Path, locale: str, look: Look
) -> None:
    key = made(live.redis_url)
    with (
        OwnApi(live.redis_url, tmp_path / "api.log", auth="keys") as api,
        opened(chromium, api.url, locale=locale, path="/#jobs") as page,
    ):
        page.locator("#key-cancel").click()
        expect(page.locator("#jobs-message")).to_be_visible()
        look(page, "jobs-without-key")
        page.locator("#jobs-message button").click()
        expect(page.locator("#key-input")).to_be_focused()
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        expect(page.locator("#jobs-list .empty")).to_be_visible()
        look(page, "jobs-empty")


def test_the_page_of_the_api_is_reached(shown: Page) -> None:
    shown.locator("footer nav a").first.click()
    expect(shown).to_have_title("Sentiq · API")
