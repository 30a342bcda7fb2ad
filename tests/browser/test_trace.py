"""The page answers while a file of 100,000 rows is read, sent, scored and shown.

`make e2e ARGS='-m trace'` runs this alone, for a machine with little else to do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Browser, expect

from tests.browser.conftest import opened
from tests.browser.files import SHOPS, as_csv

ROWS = 100_000
LONGEST_TASK_MS = 200  # of processor time; by the clock a task also waits for other processes
DONE_WITHIN_MS = 240_000


def repeated(rows: int) -> bytes:
    """Return rows of few different texts, which the service remembers, so that the page is what is busy."""
    texts = [f"第 {at} 位客人说房间干净，隔音也好，老板很热情" for at in range(200)]
    lines = [[f"N{at}", texts[at % 200], SHOPS[at % 3], f"{at % 5 + 1}"] for at in range(rows)]
    return as_csv([["编号", "评论", "店名", "评分"], *lines]).encode()


def tasks_of_the_page(trace: Path) -> list[tuple[float, str]]:
    """Return the processor time in ms, and the name, of each task of the main thread of the page."""
    events: list[dict[str, Any]] = json.loads(trace.read_text("utf-8"))["traceEvents"]
    threads = [each for each in events if each["name"] == "thread_name"]
    mains = {(each["pid"], each["tid"]) for each in threads if each["args"]["name"] == "CrRendererMain"}
    of_page = [each for each in events if (each["pid"], each["tid"]) in mains and each.get("ph") == "X"]
    tasks = [each for each in of_page if each["name"] in ("RunTask", "ThreadControllerImpl::RunTask")]
    # A few tasks of some microseconds have no processor time; their time by the clock is no less.
    return [(each.get("tdur", each["dur"]) / 1000, each["name"]) for each in tasks]


@pytest.mark.trace
@pytest.mark.timeout(400)
def test_no_task_of_the_page_takes_long_while_100000_rows_are_scored(
    chromium: Browser, live_url: str, tmp_path: Path
) -> None:
    file, trace = tmp_path / "reviews.csv", tmp_path / "trace.json"
    file.write_bytes(repeated(ROWS))
    with opened(chromium, live_url, path="/#file") as page:
        chromium.start_tracing(page=page, path=trace, categories=["toplevel", "devtools.timeline"])
        page.locator("#file-input").set_input_files(file)
        expect(page.locator(".facts-line")).to_contain_text("100,000 行", timeout=DONE_WITHIN_MS)
        page.locator("#file-by").select_option("店名")
        page.locator("#file-start").click()
        expect(page.locator(".where")).to_contain_text("共 100,000 行", timeout=DONE_WITHIN_MS)
        page.get_by_label("查找文字").fill("第 77 位")
        expect(page.locator(".where")).to_contain_text("共 500 行", timeout=DONE_WITHIN_MS)
        page.get_by_label("查找文字").fill("")
        expect(page.locator(".where")).to_contain_text("共 100,000 行", timeout=DONE_WITHIN_MS)
        page.get_by_label("排序").select_option("unsure")
        page.get_by_role("button", name="下一页").click()
        expect(page.locator(".where")).to_contain_text("51", timeout=DONE_WITHIN_MS)
        for name in ("CSV", "XLSX"):
            with page.expect_download(timeout=DONE_WITHIN_MS):
                page.get_by_role("button", name=f"下载 {name}").click()
        chromium.stop_tracing()
    tasks = tasks_of_the_page(trace)
    assert len(tasks) > 1000  # the trace saw the page
    assert max(tasks)[0] < LONGEST_TASK_MS
