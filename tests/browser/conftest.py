"""A real Chromium, and the first page in it."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page, Request


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; a laptop without one skips these tests, CI fails them."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("no chromium on PATH: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
    with import_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, live_url: str) -> Iterator[Page]:
    """Open the page; whatever a test does, no script fails, no CSP rule is broken, no other host is asked."""
    origin = live_url.rstrip("/")
    faults: list[str] = []

    def on_console(said: ConsoleMessage) -> None:
        if "Content Security Policy" in said.text:
            faults.append(said.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith(f"{origin}/"):
            faults.append(request.url)

    context = chromium.new_context(viewport={"width": 1100, "height": 900}, locale="zh-CN")
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", on_console)
    page.on("request", on_request)
    page.goto(f"{origin}/")
    page.locator("#model", has_not_text="正在读取").wait_for()
    yield page
    context.close()
    assert faults == []
