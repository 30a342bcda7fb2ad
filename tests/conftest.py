"""Real servers for the tests: a Redis a test, a stack of Redis, API and worker a session."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil
import pytest
from sentiq import Sentiq

from local.logs import Log
from local.ports import free_port
from local.redis_server import redis_server
from local.stack import Plan, Stack, running_stack
from samples.shipped import REVIEWS_FILE
from tasks.settings import Settings
from tasks.store.jobs import JobStore

T = TypeVar("T")

MODEL_NAME = "test"

_OUR_OWN = frozenset(os.environ)

# Without VNNI a processor adds int8 products in 16 bits, which saturate: probabilities then differ a little.
INT8_TOLERANCE = 0.0 if "vnni" in Path("/proc/cpuinfo").read_text("utf-8") else 0.03


def eventually(look: Callable[[], T], *, within_s: float = 30) -> T:
    """Look again and again until what is seen is true; fail with what was seen last."""
    end = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {within_s} s"
        time.sleep(0.02)
    return seen


def worker_of(stack: Stack) -> psutil.Process:
    return next(psutil.Process(process.pid) for process in stack.processes if process.name == "worker")


@contextmanager
def held(processes: list[psutil.Process]) -> Iterator[None]:
    """Stop processes while the context lasts: a job that runs stays where it is."""
    with ExitStack() as stopped:
        for process in processes:
            process.suspend()
            stopped.callback(_resume, process)
        yield


def _resume(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


def items_of(client: Sentiq, job_id: str) -> list[dict[str, Any]]:
    """Return the results of a job as the service sends them."""
    return list(client.job(job_id).raw_results())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Name the tests that failed once more below all else: a message may be longer than what CI shows."""
    yield
    for report in (report for kind in ("failed", "error") for report in terminalreporter.getreports(kind)):
        terminalreporter.write_line(f"failed: {report.nodeid}")


@pytest.fixture
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def settings(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", MODEL_NAME)
    return Settings.read()


@pytest.fixture
def store(settings: Settings) -> JobStore:
    return JobStore.connect(settings)


@pytest.fixture
def store_with(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., JobStore]:
    """Return a function that connects with settings given by name."""

    def build(**variables: float) -> JobStore:
        assert settings.redis_url
        for name, value in variables.items():
            monkeypatch.setenv(f"SENTIMENT_{name.upper()}", str(value))
        return JobStore.connect(Settings.read())

    return build


def _forget_other_stacks(patch: pytest.MonkeyPatch) -> None:
    """Take away the settings that a stack which still runs was started with."""
    for name in [name for name in os.environ if name.startswith("SENTIMENT_") and name not in _OUR_OWN]:
        patch.delenv(name)


@contextmanager
def started_stack(log_dir: Path, *, redis_url: str | None = None, **variables: str) -> Iterator[Stack]:
    """Run API and worker, and a Redis unless one is given; their log is `stack.log` in the folder.

    Unless the variables say otherwise every text is computed, since faults are to hit work, not memories
    of it, and a slow machine refuses no job: tests of admission set their own target.
    """
    patient = dict.fromkeys(("SENTIMENT_TARGET_WAIT_INTERACTIVE_S", "SENTIMENT_TARGET_WAIT_BULK_S"), "100000")
    defaults = {"SENTIMENT_CACHE_ROWS": "0", **patient}
    plan = Plan(port=free_port(), redis_url=redis_url)
    with (
        pytest.MonkeyPatch.context() as patch,
        (log_dir / "stack.log").open("w", encoding="utf-8") as log,
    ):
        _forget_other_stacks(patch)
        for name, value in (defaults | variables).items():
            patch.setenv(name, value)
        with running_stack(plan, Log(log)) as stack, Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
            yield stack


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that all tests share: none of them may hurt it."""
    folder = tmp_path_factory.mktemp("live")
    with started_stack(folder, SENTIMENT_CACHE_ROWS="1000") as stack, pytest.MonkeyPatch.context() as patch:
        # It runs beside tests that start programs with settings of their own.
        _forget_other_stacks(patch)
        yield stack


@pytest.fixture
def live_url(live: Stack) -> str:
    return live.url


@pytest.fixture
def http(live: Stack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def reviews() -> list[dict[str, str]]:
    with REVIEWS_FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
