"""The words of the page: both languages have all of them, and what the page asks for is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Browser, Page, expect

from tasks.vocabulary.items import ItemError

API = Path(__file__).parents[2] / "api"
CHINESE = re.compile(r"[\u3400-\u9fff]")
# Words that the page makes from a code of the service, or of its worker: `t(`error.${code}`)`.
MADE = ("error.", "item.", "problem.", "state.", "options.", "table.", "model.", "verdict.to_")


def words(page: Page) -> dict[str, tuple[str, str]]:
    """Return the words as the page has them: Chinese and English by key."""
    found: dict[str, list[str]] = page.evaluate("import('/static/words.js').then(({ WORDS }) => WORDS)")
    assert all(len(both) == 2 for both in found.values())
    return {key: (chinese, english) for key, (chinese, english) in found.items()}


def asked() -> set[str]:
    """Return the words that the scripts and the template name."""
    of_words = re.findall(r't\("(\w+)"\)', (API / "static/words.js").read_text("utf-8"))
    scripts = [path.read_text("utf-8") for path in (API / "static").rglob("*.js") if path.name != "words.js"]
    template = (API / "templates/index.html").read_text("utf-8")
    named = [re.findall(r'"([a-z]+(?:\.[a-z_]+)?)"', script) for script in scripts]
    return {
        key for keys in (*named, of_words, re.findall(r'data-t(?:-\w+)?="([^"]+)"', template)) for key in keys
    }


def test_both_languages_have_the_same_words(page: Page) -> None:
    for key, (chinese, english) in words(page).items():
        assert chinese.strip(), key
        assert english.strip(), key
        values = [sorted(re.findall(r"\{(\w+)\}", text)) for text in (chinese, english)]
        assert values[0] == values[1], key
        if key != "language":
            assert not CHINESE.search(re.sub("“.*?”", "", english)), key


def test_no_word_is_missing_and_none_is_left_over(page: Page) -> None:
    known, used = set(words(page)), asked()
    template = {key for key in used if key in known or "." in key}
    of_page = {key for key in template if key.split(".")[0] in {each.split(".")[0] for each in known}}
    assert of_page - known == set()
    left_over = {key for key in known - used if not key.startswith(MADE) and not key.startswith("time.")}
    assert left_over == set()


def test_every_code_of_an_item_has_a_word(page: Page) -> None:
    without = {
        "invalid_aspects",
        "aspects_required",
        "aspects_unsupported",
    }  # lines of the API, not of a file
    assert {f"item.{code}" for code in ItemError if code not in without} <= set(words(page))


@pytest.mark.parametrize(("locale", "title"), [("zh-CN", "这句话"), ("en-GB", "Praise"), ("fr-FR", "Praise")])
def test_the_language_is_the_browsers_until_one_is_chosen(
    chromium: Browser, live_url: str, locale: str, title: str
) -> None:
    context = chromium.new_context(locale=locale)
    page = context.new_page()
    page.goto(live_url)
    expect(page.locator("h1:visible")).to_contain_text(title)
    page.locator("#language").click()
    other: Literal["Praise", "这句话"] = "Praise" if title == "这句话" else "这句话"
    expect(page.locator("h1:visible")).to_contain_text(other)
    page.reload()
    expect(page.locator("h1:visible")).to_contain_text(other)
    assert page.evaluate("document.documentElement.lang") == ("en" if other == "Praise" else "zh-CN")
    context.close()
