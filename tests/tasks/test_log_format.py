"""No text from outside makes a line of its own in a log, or steers the terminal that shows it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process
from local.redis_server import redis_server
from tests.conftest import eventually

ROOT = Path(__file__).parents[2]
FORGED = "no\nERROR FORGED\r\x1b[2J\x9b31m\u2028ERROR FORGED\u202e"
# Each way in which a program sets up its log, then the same three records.
SET_UP = {
    "api and webhooks": "from tasks.log_format import start_logging; start_logging('info')",
    "worker": "from tasks.settings import Settings; from worker.process.wiring import build_worker; "
    "build_worker(Settings()).log.setup('INFO', colorize=False)",
    "packing": "from worker.packing.terminal import start_logging; start_logging('info', '%(message)s')",
}
RECORDS = f"""
import logging
log = logging.getLogger("celery.task" if {{task}} else "sentiq")
log.warning("message %s", {FORGED!r})
log.warning({FORGED!r})
try:
    raise ValueError({FORGED!r})
except ValueError:
    log.exception("failed")
"""


def run(set_up: str, *, task: bool) -> str:
    code = set_up + RECORDS.format(task=task)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60, check=True)
    return done.stderr.decode()


def assert_harmless(log: str) -> None:
    assert "FORGED" in log
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]", log)


def assert_whole(log: str) -> None:
    assert_harmless(log)
    assert [line for line in log.splitlines() if line.lstrip().startswith("ERROR FORGED")] == []


@pytest.mark.parametrize("task", [False, True])
@pytest.mark.parametrize("program", SET_UP)
def test_no_program_logs_a_control_character(program: str, *, task: bool) -> None:
    log = run(SET_UP[program], task=task)
    assert_whole(log)
    assert r"no\nERROR FORGED\r\x1b[2J\x9b31m\u2028ERROR FORGED\u202e" in log
    assert "  | ValueError: no" in log, "a traceback keeps its lines"


def test_only_one_place_sets_up_a_log() -> None:
    places = {
        str(path.relative_to(ROOT))
        for folder in ("api", "tasks", "webhooks", "worker", "local", "deploy")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"basicConfig|logging\.Formatter\b|ColorFormatter", path.read_text("utf-8"))
    }
    assert places == {"tasks/log_format.py"}


def test_a_stack_shows_what_its_processes_write_without_control_characters() -> None:
    stream = io.StringIO()
    Log(stream).line("api", FORGED)
    assert_whole(stream.getvalue())
    with Group() as group:
        popen = group.popen([sys.executable, "-c", f"import sys; sys.exit({FORGED!r})"], None)
        process = Process("api", popen)
        eventually(lambda: not process.running)
        with pytest.raises(Exception, match="exit code 1") as died:
            process.check()
    assert_harmless(str(died.value))


def test_a_path_forges_no_line_in_the_log_of_the_api(tmp_path: Path) -> None:
    log, port = tmp_path / "api.log", free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"]
    with redis_server() as redis_url, log.open("wb") as file:
        env = os.environ | {"REDIS_URL": redis_url, "PORT": str(port), "AUTH": "none"}
        api = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file)
        try:
            eventually(lambda: answers(port))
            for path in (
                "a%0aERROR FORGED%1b%5b2J",
                "v1/jobs/x%0d%0aERROR%20FORGED",
                "%c2%9b%e2%80%a8FORGED",
            ):
                assert httpx2.get(f"http://127.0.0.1:{port}/{path}", trust_env=False).status_code == 404
            eventually(lambda: log.read_text("utf-8").count("FORGED") == 3)
        finally:
            api.terminate()
            api.wait(30)
    assert_whole(log.read_text("utf-8"))


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
    except httpx2.TransportError:
        return False
