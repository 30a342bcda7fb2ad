"""Programs of an earlier commit beside those of this one, on one Redis, as during an upgrade and a way back.

The earlier ones read and write jobs of format 2 only; these write format 3 and read both.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.ports import free_port
from local.processes import ROOT
from local.redis_server import redis_server
from local.stack import ROLES
from tasks.settings import EMBEDDED_PACK
from tasks.vocabulary.job_format import FORMAT, READABLE
from tests.conftest import eventually

EARLIER, EARLIER_FORMAT = "5271ead", 2
ROOMS = ("api", "tasks", "worker", "webhooks", "local")
TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}" for i in range(120)]
SETTINGS = {
    "AUTH": "none",
    "SENTIMENT_PACK": str(EMBEDDED_PACK),
    "SENTIMENT_CONCURRENCY": "1",
    "SENTIMENT_API_PROCESSES": "1",
    "SENTIMENT_CACHE_ROWS": "0",
    "SENTIMENT_LEASE_S": "5",
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "100000",
    "SENTIMENT_TARGET_WAIT_BULK_S": "100000",
}
LEFT_ALONE_S = 4  # several rounds of a reconciler
OVER_S = 90


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the code of the earlier commit."""
    if not (git := shutil.which("git")):
        pytest.skip("git is not on PATH")
    command = [git, "archive", "--format=tar", EARLIER, *ROOMS]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"this checkout has no history back to {EARLIER}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


Start = Callable[[Path, str], "Program"]


@dataclass(frozen=True)
class Program:
    """A process with its children; `url` is that of an API."""

    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def programs(redis_url: str, folder: Path) -> Iterator[Start]:
    """Yield a function that starts a role from a folder of code."""
    started: list[Program] = []
    with ExitStack() as stack:
        log = stack.enter_context((folder / "programs.log").open("wb"))

        def start(code: Path, role: str) -> Program:
            port = free_port()
            own = {"REDIS_URL": redis_url, "PORT": str(port), "PYTHONPATH": str(code)}
            process = subprocess.Popen(
                [sys.executable, "-m", *ROLES[role]],
                cwd=code,
                env=os.environ | SETTINGS | own,
                stdout=log,
                stderr=log,
                process_group=0,
            )
            started.append(Program(process, f"http://127.0.0.1:{port}"))
            return started[-1]

        try:
            yield start
        finally:
            for program in started:
                if program.process.returncode is None:
                    program.kill()


def await_api(url: str) -> None:
    def answers() -> bool:
        try:
            return httpx2.get(f"{url}/livez").is_success
        except httpx2.TransportError:
            return False

    eventually(answers, within_s=60)


def submit(url: str, texts: Sequence[str] = TEXTS) -> str:
    """Submit a job, as soon as a worker has registered the model."""

    def accepted() -> str:
        answer = httpx2.post(f"{url}/v1/jobs", json={"items": [{"text": text} for text in texts]}, timeout=30)
        assert answer.status_code in {202, 503}, answer.text
        return str(answer.json().get("id", ""))

    return eventually(accepted, within_s=60)


def job(url: str, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{url}/v1/jobs/{job_id}", timeout=30).raise_for_status().json()
    return found


def await_whole(url: str, job_id: str) -> None:
    """Wait until a job has succeeded, and check that each item has one outcome."""
    eventually(lambda: job(url, job_id)["finished_at"], within_s=OVER_S)
    assert job(url, job_id)["status"] == "succeeded"
    page = httpx2.get(f"{url}/v1/jobs/{job_id}/results?limit=1000", timeout=30).raise_for_status().json()
    assert [item["index"] for item in page["data"]] == list(range(len(TEXTS)))
    assert {item["status"] for item in page["data"]} == {"succeeded"}


def test_the_formats_are_those_that_this_is_about() -> None:
    assert FORMAT > EARLIER_FORMAT
    assert EARLIER_FORMAT in READABLE


@pytest.mark.timeout(400)
def test_old_and_new_programs_side_by_side_lose_nothing(earlier: Path, tmp_path: Path) -> None:
    with redis_server() as redis_url, programs(redis_url, tmp_path) as start:
        old, new = start(earlier, "api").url, start(ROOT, "api").url
        for url in (old, new):
            await_api(url)
        start(earlier, "worker")
        unreadable, readable = submit(new), submit(old)
        await_whole(old, readable)
        time.sleep(LEFT_ALONE_S)
        # Old children lease nothing of it, and an old reconciler neither expires nor gives it up.
        assert job(new, unreadable)["counts"]["pending"] == len(TEXTS)
        start(ROOT, "worker")
        await_whole(new, unreadable)
        # Both workers, both kinds of jobs, and each job read by the API of the new code.
        both = [(url, submit(url)) for url in (old, new) * 3]
        for url, job_id in both:
            await_whole(url, job_id)
            await_whole(new, job_id)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_new_workers_finish_what_old_ones_left(earlier: Path, tmp_path: Path) -> None:
    with redis_server() as redis_url, programs(redis_url, tmp_path) as start:
        old, worker = start(earlier, "api").url, start(earlier, "worker")
        await_api(old)
        left = [submit(old) for _ in range(6)]
        worker.kill()
        assert [job_id for job_id in left if not job(old, job_id)["finished_at"]]
        start(ROOT, "worker")
        for job_id in left:
            await_whole(old, job_id)
