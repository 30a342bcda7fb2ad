"""`make demo`, run as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes import ROOT
from samples.shipped import read_plain, read_reviews

pytestmark = pytest.mark.timeout(150)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    # A terminal of that encoding cannot show the faces.
    env = os.environ | {"COLUMNS": "80", "PYTHONIOENCODING": "gbk"} | variables
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, encoding="gbk", check=False
    )


def test_the_demo_shows_plain_reviews_first_and_fits_80_columns() -> None:
    result = run("local.demo")
    assert result.returncode == 0, result.stderr
    plain, _, hard = result.stdout.partition("Hard reviews: facts, irony and turns")
    for review in read_plain():
        assert review.text[:12] in plain
    assert sum(review.text[:12] in hard for review in read_reviews()) >= 12
    assert not any(review.text[:12] in plain for review in read_reviews())
    agree = dict(re.findall(r"^(\d+ \w+) reviews: (\d+)% of the verdicts agree", hard, re.MULTILINE))
    assert list(agree) == ["24 plain", "200 hard"]
    assert int(agree["24 plain"]) >= 80
    assert re.search(r"^all +200 .* (\d+)%", hard, re.MULTILINE)[1] == agree["200 hard"]  # type: ignore[index]
    assert "224 reviews in" in result.stdout
    assert "failed" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_plain_reviews_are_of_both_labels_in_twelve_domains() -> None:
    plain = read_plain()
    assert len({review.text for review in plain}) == 24
    assert {(review.domain, review.label) for review in plain} == {
        (review.domain, label) for review in plain for label in ("negative", "positive")
    }
    assert len({review.domain for review in plain}) == 12
    assert not {review.text for review in plain} & {review.text for review in read_reviews()}


def test_a_demo_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    result = run("local.demo", SENTIMENT_PACK=str(tmp_path))
    assert result.returncode == 1
    assert "pack.json: missing from" in result.stderr
    log = ROOT / result.stderr.rpartition("Full log: ")[2].strip()
    assert "pack.json: missing from" in log.read_text("utf-8")
