"""The demo and the bench as a person starts them, the bench in small."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.texts import statistics_of, texts_from
from local.processes import ROOT
from samples.composed import composed_texts

pytestmark = pytest.mark.timeout(150)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    env = os.environ | {"COLUMNS": "80"} | variables
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


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
    log = ROOT / result.stderr.rpartition("The whole log: ")[2].strip()
    assert "pack.json: missing from" in log.read_text("utf-8")


def test_the_bench_reports_both_rates_and_where_the_time_goes(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = run("bench.throughput", "--count", "300", "--pairs", "1", "--json", str(out))
    assert result.returncode == 0, result.stderr
    report = json.loads(out.read_text("utf-8"))
    assert report["share_of_offline"]["median"] > 0
    assert report["text_chars"]["count"] == 300
    parts = {"offline engines", "api", "redis", "worker parent", "worker children", "client"}
    assert parts == set(report["cpu_seconds_per_1000"]) == set(report["peak_mb"])


def test_composed_texts_are_the_same_for_a_seed_mostly_distinct_and_of_usual_lengths() -> None:
    texts = composed_texts(5000, seed=1)
    assert texts == composed_texts(5000, seed=1)
    assert texts != composed_texts(5000, seed=2)
    found = statistics_of(texts)
    assert 45 < found["mean"] < 65
    assert 140 < found["p95"] < 200
    assert found["repeated"] < 0.02


def test_a_file_gives_its_lines_up_to_the_count(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("好\n\n  很好 \n非常好\n", "utf-8")
    assert texts_from(path, 2) == ["好", "很好"]
