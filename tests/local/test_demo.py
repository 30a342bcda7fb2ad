"""`make demo`, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import ROOT

pytestmark = pytest.mark.timeout(150)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    # A terminal of that encoding cannot show the faces.
    env = os.environ | {"COLUMNS": "80", "PYTHONIOENCODING": "gbk"} | variables
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, encoding="gbk", check=False
    )


def test_the_demo_scores_every_shipped_review_and_fits_80_columns() -> None:
    result = run("local.demo")
    assert result.returncode == 0, result.stderr
    assert "200 reviews in" in result.stdout
    assert "failed" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_demo_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    result = run("local.demo", SENTIMENT_PACK=str(tmp_path))
    assert result.returncode == 1
    assert "pack.json: missing from" in result.stderr
    log = ROOT / result.stderr.rpartition("Full log: ")[2].strip()
    assert "pack.json: missing from" in log.read_text("utf-8")
