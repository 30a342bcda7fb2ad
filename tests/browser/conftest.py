"""A real Chromium, and the page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

# Chromium writes this for each answer that is an error, also where the page expects one.
_ANSWERED = "Failed to load resource"
_PATIENCE_MS = 15_000  # of an expectation without a time of its own, on a busy machine


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; a laptop without one skips these tests, CI fails them."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("no chromium on PATH: apt-get install chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses its sandbox to root
    api = import_module("playwright.sync_api")
    api.expect.set_options(timeout=_PATIENCE_MS)
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=sandbox)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Browser, url: str, *, locale: str = "zh-CN", path: str = "/") -> Iterator[Page]:
    """Open the page; whatever a test does, no script fails, the console is empty, no other host is asked.

    A broken rule of the content security policy is an error on the console too.
    """
    origin = url.rstrip("/")
    faults: list[str] = []

    def on_console(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and _ANSWERED not in said.text:
            faults.append(said.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((f"{origin}/", f"blob:{origin}/")):
            faults.append(request.url)

    context = chromium.new_context(viewport={"width": 1100, "height": 900}, locale=locale)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", on_console)
    context.on("request", on_request)
    page.goto(f"{origin}{path}")
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def page(chromium: Browser, live_url: str) -> Iterator[Page]:
    """Open the page of the shared stack, in Chinese."""
    with opened(chromium, live_url) as page:
        page.locator("#model", has_not_text="正在读取").wait_for()
        yield page
