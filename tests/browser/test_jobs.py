"""Jobs in the page: reloaded, interrupted, canceled, deleted, gone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from playwright.sync_api import Browser, Page, Route, expect

from local.stack import Stack
from tasks.settings import Settings
from tasks.store import models, pauses
from tasks.store.audit import Author
from tasks.store.jobs import JobStore
from tasks.vocabulary.pauses import PauseTarget
from tests.api.test_access import made
from tests.browser.apis import OwnApi
from tests.browser.conftest import opened
from tests.browser.files import DONE_WITHIN_MS, as_csv, choose, job_id, score, table

FILE = as_csv(table(60)).encode()
# All that the page has stored: sessionStorage, and every other place.
STORED = """async () => {
  const opened = (await indexedDB.databases()).map(({ name }) => new Promise((done) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => {
      const all = request.result.transaction("uploads").objectStore("uploads").getAll();
      all.onsuccess = () => { request.result.close(); done(all.result); };
    };
  }));
  return { session: { ...sessionStorage },
    elsewhere: [{ ...localStorage }, document.cookie, location.href, await Promise.all(opened)] };
}"""


def distinct(rows: int) -> bytes:
    """Return a file whose rows are all computed: no text comes twice."""
    return as_csv([["评论"], *([f"第 {at} 位客人说房间干净，隔音也好"] for at in range(rows))]).encode()


def start(page: Page, content: bytes, name: str = "a.csv") -> None:
    choose(page, name, content)
    page.locator("#file-start").click()


def job(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.request.get(
        f"{page.evaluate('location.origin')}/v1/jobs/{job_id(page)}"
    ).json()
    return found


def test_a_reload_in_the_middle_finds_the_job_again(page: Page) -> None:
    start(page, distinct(6000))
    expect(page.locator(".progress-text")).to_contain_text("/ 6,000 行", timeout=DONE_WITHIN_MS)
    before = job_id(page)
    page.reload()
    expect(page.locator(".progress-text")).to_contain_text("/ 6,000 行", timeout=DONE_WITHIN_MS)
    assert job_id(page) == before
    page.get_by_role("button", name="取消任务").click()
    expect(page.locator(".job-head .state")).to_have_text("已取消", timeout=DONE_WITHIN_MS)
    expect(page.locator(".where")).to_contain_text("共 6,000 行")


def test_a_reload_in_the_middle_of_an_upload_resumes_it(page: Page) -> None:
    page.route("**/v1/jobs?*", lambda route: route.abort("connectionrefused"))
    start(page, FILE)
    expect(page.locator(".trouble")).to_contain_text("服务没有回应")
    page.unroute("**/v1/jobs?*")
    page.reload()
    expect(page.locator(".grid tbody tr").first).to_be_visible(timeout=DONE_WITHIN_MS)
    assert job(page)["counts"]["total"] == 60
    assert page.evaluate("sessionStorage.getItem('upload')") is None


def test_an_upload_of_a_closed_tab_is_resumed_or_discarded(page: Page) -> None:
    context = page.context
    page.route("**/v1/jobs?*", lambda route: route.abort("connectionrefused"))
    start(page, FILE, "昨天.csv")
    expect(page.locator(".trouble")).to_contain_text("服务没有回应")
    later = context.new_page()
    page.close()
    later.goto(f"{page.url.partition('#')[0]}#jobs")
    expect(later.locator(".stopped")).to_contain_text("昨天.csv：60 行")
    later.get_by_role("button", name="继续上传").click()
    expect(later.locator(".grid tbody tr").first).to_be_visible(timeout=DONE_WITHIN_MS)
    later.locator("[data-view=jobs]").click()
    expect(later.get_by_role("link", name="昨天.csv").first).to_be_visible()
    expect(later.locator(".stopped")).to_have_count(0)


def test_an_upload_that_the_browser_lost_says_what_to_do(page: Page) -> None:
    page.evaluate("sessionStorage.setItem('upload', 'gone')")
    page.locator("[data-view=file]").click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("请再选一次文件")


def test_ones_jobs_are_listed_opened_and_deleted(page: Page) -> None:
    score(page, "列出.csv", FILE)
    opened_job = job_id(page)
    page.locator("[data-view=jobs]").click()
    row = page.locator(".jobs tbody tr", has=page.locator(f"[id='open-{opened_job}']"))
    expect(row).to_contain_text("列出.csv")
    expect(row.locator(".state")).to_have_text("完成")
    row.get_by_role("link").click()
    expect(page.locator(".where")).to_contain_text("共 60 行", timeout=DONE_WITHIN_MS)
    page.locator("[data-view=jobs]").click()
    row.get_by_role("button", name="删除 列出.csv").click()
    dialog = page.get_by_role("dialog", name="删除这个任务？")
    dialog.get_by_role("button", name="取消").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="删除 列出.csv").click()
    dialog.get_by_role("button", name="删除").click()
    expect(row).to_have_count(0)
    page.goto(f"{page.url.partition('#')[0]}#file/{opened_job}")
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("任务已被删除")


def test_a_running_job_is_canceled_from_the_list(page: Page) -> None:
    start(page, distinct(5000), "长.csv")
    expect(page.locator(".progress-text")).to_contain_text("/ 5,000 行", timeout=DONE_WITHIN_MS)
    running = job_id(page)
    page.locator("[data-view=jobs]").click()
    page.locator(f"[id='cancel-{running}']").click()
    row = page.locator(".jobs tbody tr", has=page.locator(f"[id='open-{running}']"))
    expect(row.locator(".state")).to_have_text("已取消", timeout=DONE_WITHIN_MS)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (410, "job_expired", "已到期"),
        (410, "job_lost", "告诉管理员"),
        (404, "job_not_found", "链接可能不完整"),
        (403, "scope_missing", "没有这项权限"),
    ],
)
def test_a_job_that_cannot_be_shown_says_why(page: Page, status: int, code: str, said: str) -> None:
    problem = {
        "title": "No",
        "status": status,
        "code": code,
        "detail": "told by a test",
        "request_id": "req_9",
    }
    page.route("**/v1/jobs/job_x", lambda route: route.fulfill(status=status, json=problem))
    page.goto(f"{page.url.partition('#')[0]}#file/job_x")
    alert = page.get_by_role("alert").filter(visible=True)
    for part in (said, "told by a test", "req_9"):
        expect(alert).to_contain_text(part)


def test_a_full_service_is_waited_for(page: Page) -> None:
    refused: list[str] = []

    def full(route: Route) -> None:
        refused.append(route.request.headers["idempotency-key"])
        problem = {"title": "Full", "status": 503, "code": "service_full", "retry_after_s": 2}
        route.fulfill(status=503, headers={"retry-after": "2"}, json=problem)

    page.route("**/v1/jobs?*", full, times=1)
    start(page, FILE)
    expect(page.locator(".trouble")).to_contain_text("服务很忙，2 秒后自动再试")
    expect(page.locator(".grid tbody tr").first).to_be_visible(timeout=DONE_WITHIN_MS)
    assert len(refused) == 1


def test_a_service_that_is_killed_and_comes_back_loses_nothing(
    live: Stack, chromium: Browser, tmp_path: Path
) -> None:
    with OwnApi(live.redis_url, tmp_path / "api.log") as api, opened(chromium, api.url) as page:
        start(page, distinct(3000))
        expect(page.locator(".progress-text")).to_contain_text("/ 3,000 行", timeout=DONE_WITHIN_MS)
        api.kill()
        expect(page.locator(".trouble")).to_contain_text("任务不会丢", timeout=DONE_WITHIN_MS)
        api.start()
        expect(page.locator(".where")).to_contain_text("共 3,000 行", timeout=DONE_WITHIN_MS)
        expect(page.locator(".job-head .state")).to_have_text("完成")


def test_an_upload_waits_for_a_service_that_is_down(live: Stack, chromium: Browser, tmp_path: Path) -> None:
    with OwnApi(live.redis_url, tmp_path / "api.log") as api, opened(chromium, api.url) as page:
        choose(page, "a.csv", FILE)
        expect(page.locator("#file-start")).to_be_visible()
        api.kill()
        page.locator("#file-start").click()
        expect(page.locator(".trouble")).to_contain_text("服务没有回应")
        api.start()
        expect(page.locator(".where")).to_contain_text("共 60 行", timeout=DONE_WITHIN_MS)


def test_a_key_is_asked_for_and_stays_in_the_tab(live: Stack, chromium: Browser, tmp_path: Path) -> None:
    key = made(live.redis_url)
    with OwnApi(live.redis_url, tmp_path / "api.log", auth="keys") as api, opened(chromium, api.url) as page:
        dialog = page.get_by_role("dialog", name="API 密钥")
        expect(dialog).to_contain_text("需要密钥")
        expect(page.get_by_label("密钥", exact=True)).to_be_focused()
        page.keyboard.type("sentiq_wrong")
        page.keyboard.press("Enter")
        expect(dialog).to_contain_text("服务不认识这个密钥")
        page.keyboard.press("Escape")
        expect(page.locator("#model")).to_contain_text("读不到服务信息")
        page.locator("[data-view=jobs]").click()
        expect(page.get_by_label("密钥", exact=True)).to_be_focused()
        page.keyboard.type(key)
        page.keyboard.press("Enter")
        expect(page.locator("#jobs-list")).to_contain_text("还没有任务")
        expect(page.locator("#model")).to_contain_text("模型 ")
        score(page, "a.csv", FILE)
        stored = page.evaluate(STORED)
        assert stored["session"] == {"api-key": key}
        assert key not in json.dumps(stored["elsewhere"])
        page.reload()
        expect(page.locator(".where")).to_contain_text("共 60 行", timeout=DONE_WITHIN_MS)


def test_without_a_key_the_page_says_where_to_give_it(live: Stack, chromium: Browser, tmp_path: Path) -> None:
    made(live.redis_url)
    with OwnApi(live.redis_url, tmp_path / "api.log", auth="keys") as api, opened(chromium, api.url) as page:
        page.get_by_role("dialog").get_by_role("button", name="取消").click()
        page.get_by_label("要判断的文字").fill("很好")
        page.get_by_role("button", name="分析").click()
        page.get_by_role("dialog").get_by_role("button", name="取消").click()
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("点页脚的")


def test_a_job_that_waits_for_the_night_says_until_when(page: Page) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    origin = page.evaluate("location.origin")
    body = {"text": "很好", "not_before": later}
    job_id = page.request.post(f"{origin}/v1/jobs", data=body).json()["id"]
    page.goto(f"{origin}/#file/{job_id}")
    expect(page.locator(".progress-text")).to_contain_text(re.compile("到 .* 开始"))
    page.get_by_role("button", name="取消任务").click()
    expect(page.locator(".job-head .state")).to_have_text("已取消", timeout=DONE_WITHIN_MS)
    expect(page.locator(".result .note").last).to_contain_text("没有保留文字")


def test_a_job_that_is_paused_says_so_and_goes_on(redis_url: str, chromium: Browser, tmp_path: Path) -> None:
    store = JobStore.connect(Settings(redis_url=redis_url))
    models.register(store, "none", {"input": "text", "labels": [], "id": "none", "revision": "1"})
    bulk, operator = PauseTarget.parse("class:bulk"), Author("operator")
    with OwnApi(redis_url, tmp_path / "api.log") as api, opened(chromium, api.url) as page:
        pauses.pause(store, bulk, operator)
        body = {"text": "很好", "priority": "bulk"}
        job_id = page.request.post(f"{api.url}/v1/jobs", data=body).json()["id"]
        page.goto(f"{api.url}/#jobs")
        expect(page.locator(".state.paused")).to_have_text("已暂停")
        page.goto(f"{api.url}/#file/{job_id}")
        expect(page.locator(".progress-text")).to_contain_text("管理员暂停了这项任务")
        pauses.resume(store, bulk, operator)
        expect(page.locator(".progress-text")).to_contain_text("没有 worker", use_inner_text=True)
        page.get_by_role("button", name="取消任务").click()
        expect(page.locator(".job-head .state")).to_have_text("已取消", timeout=DONE_WITHIN_MS)
