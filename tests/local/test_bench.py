"""`python -m bench`: the runner, and one small run of a benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.program import BenchError
from bench.texts import statistics_of, texts_from
from local.processes import ROOT
from samples.composed import composed_texts

PROGRAMS = sorted(path.stem for path in (ROOT / "bench" / "programs").glob("[!_]*.py"))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_every_benchmark_is_listed_with_a_line(arguments: tuple[str, ...]) -> None:
    result = bench(*arguments)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.partition("benchmarks:\n")[2].splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines)
    assert sorted(listed) == PROGRAMS
    assert len(PROGRAMS) > 10


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    result = bench("nope")
    assert result.returncode == 2
    assert "invalid choice: 'nope'" in result.stderr
    assert all(name in result.stderr for name in PROGRAMS)


def test_a_benchmark_without_its_libraries_names_the_one_that_is_missing() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['bench', 'engines'];"
        "from bench.__main__ import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert "torch" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_is_one_line(tmp_path: Path) -> None:
    result = bench("throughput", "--texts", str(tmp_path / "absent"))
    assert result.returncode == 1
    assert result.stderr.strip().count("\n") == 0
    assert "absent cannot be read" in result.stderr


@pytest.mark.timeout(150)
def test_throughput_reports_both_rates_and_where_the_time_goes(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = bench("throughput", "--count", "300", "--pairs", "1", "--json", str(out))
    assert result.returncode == 0, result.stderr
    report = json.loads(out.read_text("utf-8"))
    assert report["share_of_offline"]["median"] > 0
    assert report["text_chars"]["count"] == 300
    assert len(report["children_ready_s"]) > 0
    parts = {"offline engines", "api", "redis", "worker parent", "worker children", "client"}
    assert parts == set(report["cpu_seconds_per_1000"]) == set(report["peak_mb"])


def test_composed_texts_are_the_same_for_a_seed_mostly_distinct_and_of_usual_lengths() -> None:
    texts = composed_texts(5000, seed=1)
    assert texts == composed_texts(5000, seed=1)
    assert texts != composed_texts(5000, seed=2)
    statistics = statistics_of(texts)
    assert 45 < statistics["mean"] < 65
    assert 140 < statistics["p95"] < 200
    assert statistics["repeated"] < 0.02


def test_a_file_gives_its_lines_up_to_the_count(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_text("好\n\n  很好 \n非常好\n", "utf-8")
    assert texts_from(path, 2) == ["好", "很好"]


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts"
    path.write_bytes("好".encode("gb18030"))
    with pytest.raises(BenchError, match="cannot be read"):
        texts_from(path, 2)


@pytest.mark.timeout(150)
def test_singles_reports_both_loads_by_process(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = bench("singles", "--count", "60", "--rounds", "1", "--callers", "4", "--json", str(out))
    assert result.returncode == 0, result.stderr
    report = json.loads(out.read_text("utf-8"))
    parts = {"api", "redis", "worker parent", "worker children", "flower", "leases", "wake-ups", "forwards"}
    assert all(parts < set(report["per_1000"][load]) for load in ("singles", "bulk"))
    assert report["per_1000"]["singles"]["leases"]["median"] > report["per_1000"]["bulk"]["leases"]["median"]
