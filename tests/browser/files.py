"""Files for the tests, and the way of a file through the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from playwright.sync_api import FilePayload, Page, expect

SHOPS = ("南山店", "福田店", "宝安店")
TEXTS = (
    "房间干净，隔音也好，下次还来",
    "汤洒了一半，盒子都泡烂了，太差了",
    '老板说"欢迎再来"，很热情',
    "等了一个半小时\n才说卖完了",
)
DONE_WITHIN_MS = 90_000


def table(rows: int) -> list[list[str]]:
    """Return a header and rows: a shop, a text with quotes and line breaks, a formula."""
    lines = [[SHOPS[at % 3], TEXTS[at % 4] + f"，第 {at % 40} 次", f"=1+{at}"] for at in range(rows)]
    return [["店名", "评论", "备注"], *lines]


def as_csv(rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    """Return rows as delimited text."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def choose(page: Page, name: str, content: bytes) -> None:
    """Open the view of a file and choose one."""
    page.locator("[data-view=file]").click()
    payload = FilePayload(name=name, mimeType="application/octet-stream", buffer=content)
    page.locator("#file-input").set_input_files(payload)


def score(page: Page, name: str, content: bytes, *, by: str | None = None) -> None:
    """Choose a file, start, and wait for its table."""
    choose(page, name, content)
    expect(page.locator("#file-start")).to_be_visible()
    if by:
        page.locator("#file-by").select_option(by)
    page.locator("#file-start").click()
    expect(page.locator(".grid tbody tr").first).to_be_visible(timeout=DONE_WITHIN_MS)


def job_id(page: Page) -> str:
    """Return the job whose panel is shown."""
    return str(page.evaluate("location.hash")).removeprefix("#file/")
