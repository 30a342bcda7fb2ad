"""`python -m bench`: the runner, and the texts that benchmarks use."""

from __future__ import annotations

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
