"""The whole stack as `make up` starts it: real Redis, API, worker and Flower on free ports."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from local.ports import free_port
from local.processes import ROOT
from local.redis_server import redis_server

_START_TIMEOUT_S = 60
pytestmark = pytest.mark.timeout(150)


class Up:
    """A running `local.up` and its output."""

    def __init__(self, output: Path, **variables: str) -> None:
        self.output = output
        ports = {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
        command = [sys.executable, "-m", "local.up"]
        # A shell lets background processes ignore SIGINT, and their children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | ports | variables, stdout=file, stderr=subprocess.STDOUT
            )

    @property
    def printed(self) -> str:
        return self.output.read_text("utf-8")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def await_verdict(self) -> None:
        await_true(lambda: "stop    Ctrl-C" in self.printed or self.process.poll() is not None)
        assert self.process.poll() is None, self.printed


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def up(tmp_path: Path, **variables: str) -> Iterator[Up]:
    """Run `local.up` on a Redis of its own, so that the data in `.run` are not touched."""
    with redis_server() as url:
        running = Up(tmp_path / "output", **{"REDIS_URL": url} | variables)
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_up_shows_a_verdict_and_a_curl_line_that_works_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.await_verdict()
        assert re.search(r"这家餐厅太难吃了  😠 negative \d", running.printed)
        family = running.family()
        assert {"gunicorn", "celery"} <= {part for process in family for part in process.cmdline()}
        curl = next(line for line in running.printed.splitlines() if line.startswith("  try "))
        if shutil.which("curl"):
            answer = subprocess.run(shlex.split(curl.removeprefix("  try ")), capture_output=True, check=True)
            assert '"label":"positive"' in answer.stdout.decode()
        assert_flower_answers_to_own_names_only(running.printed)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=30) == 0
        assert_gone(family)


def assert_flower_answers_to_own_names_only(printed: str) -> None:
    url = flower_url(printed)
    for name, status in (
        ("localhost", 200),
        ("127.0.0.1:5555", 200),
        ("evil.example", 404),
        ("localhost.evil.example", 404),
    ):
        for path in ("", "tasks", "workers", "broker"):
            answer = httpx2.get(url + path, headers={"host": name}, trust_env=False)
            assert answer.status_code == status, (name, path)


def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.await_verdict()
        family = running.family()
        running.process.kill()
        assert len(family) >= 6
        assert_gone(family)


def test_all_stop_when_one_dies_and_the_last_message_names_it(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.await_verdict()
        family = running.family()
        api = next(process for process in family if "gunicorn" in process.cmdline())
        api.kill()
        assert running.process.wait(timeout=30) == 1
        assert "api was killed by SIGKILL. Its last output:" in running.printed[-2500:]
        assert_gone(family)


def test_the_service_outlives_flower_which_is_started_again(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        running.await_verdict()
        flower = next(process for process in running.family() if "flower" in process.cmdline())
        flower.kill()
        await_true(lambda: flower_answers(running.printed))
        assert "flower │ was killed by SIGKILL; starts again in 1 s" in running.printed
        assert running.process.poll() is None
        family = running.family()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=30) == 0
        assert_gone(family)


def test_the_service_starts_although_flower_dies_while_it_starts(tmp_path: Path) -> None:
    def flowers() -> list[psutil.Process]:
        return [process for process in running.family() if "flower" in process.cmdline()]

    with up(tmp_path) as running:
        await_true(lambda: bool(flowers()) or running.process.poll() is not None)
        flowers()[0].kill()
        running.await_verdict()
        await_true(lambda: flower_answers(running.printed))
        assert "flower │ was killed by SIGKILL; starts again in 1 s" in running.printed
        assert running.process.poll() is None


def flower_answers(printed: str) -> bool:
    try:
        return "starts again" in printed and httpx2.get(flower_url(printed), trust_env=False).is_success
    except httpx2.TransportError:
        return False


def flower_url(printed: str) -> str:
    url = re.search(r"^  flower  (http://127\.0\.0\.1:\d+/)$", printed, re.MULTILINE)
    assert url
    return url[1]


def test_a_pack_that_cannot_be_served_stops_the_start_with_the_reason_last(tmp_path: Path) -> None:
    with up(tmp_path, SENTIMENT_PACK=str(tmp_path)) as running:
        assert running.process.wait(timeout=_START_TIMEOUT_S) == 1
        assert "pack.json: missing from" in running.printed.splitlines()[-1]


def test_a_redis_that_does_not_answer_stops_the_start_before_anything_runs(tmp_path: Path) -> None:
    with up(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as running:
        assert running.process.wait(timeout=_START_TIMEOUT_S) == 1
        assert "does not answer PING" in running.printed
        assert "│" not in running.printed


def test_a_taken_port_stops_the_start_before_anything_runs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with up(tmp_path, FLOWER_PORT=str(port)) as running:
            assert running.process.wait(timeout=_START_TIMEOUT_S) == 1
            assert f"FLOWER_PORT {port} is taken" in running.printed
            assert "│" not in running.printed
