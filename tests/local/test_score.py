"""`make score`, run as a user runs it: nothing runs before, and nothing after."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local.processes import ROOT
from samples.shipped import REVIEWS_FILE
from tests.conftest import eventually

pytestmark = pytest.mark.timeout(150)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "local.score", *arguments]


def test_a_table_is_scored_and_the_service_stopped(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    arguments = command(
        str(REVIEWS_FILE), "--column", "text", "--output", str(out), "--by", "domain", "--label-name", "v"
    )
    env = os.environ | {"SENTIQ_URL": "http://127.0.0.1:1", "SENTIQ_API_KEY": "not for this service"}
    env["DURABLE"] = "true"  # nor is that: its Redis ends with it
    done = subprocess.run(
        arguments, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    with (
        REVIEWS_FILE.open(encoding="utf-8", newline="") as before,
        out.open(encoding="utf-8", newline="") as after,
    ):
        rows = list(csv.DictReader(after))
        assert [row["text"] for row in rows] == [row["text"] for row in csv.DictReader(before)]
    assert {row["v"] for row in rows} == {"positive", "negative"}
    assert "restaurant" in done.stderr
    again = subprocess.run(
        arguments, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert (again.returncode, "--overwrite" in again.stderr) == (2, True), again.stderr


def test_a_file_that_is_not_there_starts_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        command(str(tmp_path / "none.csv")), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "is no file" in done.stderr) == (1, True)


def test_ctrl_c_stops_command_and_service(tmp_path: Path) -> None:
    rows = tmp_path / "in.csv"
    rows.write_text(
        "text\n" + "".join(f"第{n}次来，味道不错，分量也足，下次还来\n" for n in range(60_000)),
        encoding="utf-8",
    )
    out = tmp_path / "out.csv"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command(str(rows), "--output", str(out)), cwd=ROOT, stderr=subprocess.PIPE)
    eventually((tmp_path / "out.csv.sentiq.json").exists, within_s=90)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, b"The output is not written" in told) == (130, True), told
    assert not out.exists()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert (len(gone) >= 4, alive) == (True, [])
