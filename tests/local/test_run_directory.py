"""`.run` and the Redis of `make up` belong to one user; a directory that cannot be made is one line."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import redis

from local.ports import free_port
from local.processes import ROOT
from tasks.broker.celery_app import build_celery
from tasks.settings import Settings
from tests.conftest import eventually

# Runs a program with another `.run`: the one of this checkout may hold data.
_RUN = """
import runpy, sys
from pathlib import Path
import local.run_directory
local.run_directory.RUN = Path(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def command(run: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", _RUN, str(run), *arguments]


@contextmanager
def up(run: Path, output: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `make up` with a Redis of its own until the greeting is printed, and while the context lasts."""
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    env |= {
        "PORT": str(free_port()),
        "FLOWER_PORT": str(free_port()),
        "SENTIMENT_CONCURRENCY": "1",
    } | variables
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with output.open("wb") as file:
        process = subprocess.Popen(
            command(run, "local.up"), cwd=ROOT, env=env, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        eventually(
            lambda: b"stop    Ctrl-C" in output.read_bytes() or process.poll() is not None, within_s=90
        )
        assert process.poll() is None, output.read_bytes().decode(errors="replace")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@pytest.mark.timeout(180)
def test_another_user_can_read_nothing_and_the_password_is_nowhere_to_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, output = tmp_path / "run", tmp_path / "output"
    # The greeting has a face, which GBK lacks.
    with up(run, output, PYTHONIOENCODING="gbk") as process:
        url = re.findall(r"REDIS_URL='([^']+)'", (run / "redis.env").read_text("utf-8"))[0]
        parts = urlsplit(url)
        assert parts.password
        stranger = redis.Redis(port=parts.port or 0)
        for call in (stranger.dbsize, stranger.config_get, lambda: stranger.eval("return 1", 0)):
            with pytest.raises(redis.AuthenticationError):
                call()
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [run, *run.rglob("*")]}
        assert len(modes) > 4, "Redis writes its log"
        assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
        for each in psutil.Process(process.pid).children(recursive=True):
            assert parts.password not in " ".join(each.cmdline())
        line = re.findall(r"  secret  (.*?)    \(", output.read_text("gbk"))[0]
        shown = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S602  as a person runs it
        assert shown.stdout.startswith("whsec_")
        monkeypatch.setenv("REDIS_URL", url)
        (answer,) = build_celery(Settings.read()).control.ping(timeout=10, limit=1)
        assert re.match(r"[0-9a-f]{8}@", next(iter(answer))), "Flower shows one of two workers of one name"
    assert parts.password not in output.read_text("gbk")


@pytest.mark.parametrize("program", ["local.up", "local.demo", "bench throughput --count 1"])
def test_a_directory_that_cannot_be_made_is_one_line(program: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    env |= {"PORT": str(free_port()), "FLOWER_PORT": str(free_port())}
    done = subprocess.run(
        command(Path("/proc/none"), *program.split()),
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0, done.stderr
    assert "/proc/none cannot be used" in done.stderr


def test_figures_that_cannot_be_written_are_one_line_before_the_benchmark() -> None:
    arguments = ("-m", "bench", "throughput", "--count", "1", "--json", "/proc/none/figures.json")
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().count("\n") == 0, done.stderr
    assert "/proc/none/figures.json" in done.stderr
