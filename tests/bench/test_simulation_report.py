"""Calibrations on disk, limits by arithmetic, and the report with its section in a document."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.program import BenchError
from bench.simulate import __main__ as command
from bench.simulate import scenarios
from bench.simulate.deployment import Deployment
from bench.simulate.parts import Call, Parts, read_parts, write_parts
from bench.simulate.reporting import BEGIN, END
from bench.simulate.store_calls import measure_calls
from bench.simulate.validation import Check

PARTS = Parts(
    chunk_texts=64,
    chunk_s=[0.4, 0.5, 0.6],
    api_text_s=1e-5,
    api_job_s=1e-3,
    create=Call(300, 30, 2000, 9000),
    wake=Call(0, 80, 0, 900),
    lease=Call(100, 60, 400, 9000),
    finish=Call(120, 90, 500, 4000),
    read=Call(100, 20, 200, 4000),
    idle_us_per_s=100,
    measured={
        **dict.fromkeys(("processor", "python", "pack"), "any"),
        "cores": 2,
        "versions": {"celery": "5.7.0"},
    },
)


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "parts.json"
    write_parts(PARTS, path)
    assert read_parts(path) == PARTS


@pytest.mark.parametrize("text", ["", "{}", '{"create": {"nope": 1}}'])
def test_another_file_is_no_calibration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "parts.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BenchError, match="is no calibration"):
        read_parts(path)


def test_limits_are_those_of_one_busy_part() -> None:
    limits = scenarios.limits(PARTS, Deployment(1))
    assert limits["a worker"] == pytest.approx(128)
    # A job of 1,000 texts has 16 chunks, each with a lease and a finish of its own.
    micros = (300 + 30 * 16 + 80 * 16 + 100 + 20 * 16) / 1000 + (160 + 210) / 64
    assert limits["one Redis"] == pytest.approx(1e6 / micros)
    assert limits["workers whose idling fills one Redis"] == 80_000


def test_the_calls_of_the_store_cost_something_and_more_for_more_chunks() -> None:
    calls = measure_calls(40, seed=1)
    assert calls.keys() == {"create", "lease", "finish", "read"}
    for call in calls.values():
        assert call.base_us + call.chunk_us > 0
        assert call.chunk_bytes > 500


def test_a_check_holds_within_its_tolerance() -> None:
    assert Check("any", 100, 114).holds
    assert not Check("any", 100, 116).holds
    assert not Check("any", 100, 84).holds


def test_a_report_fills_its_section_and_nothing_else(tmp_path: Path) -> None:
    write_parts(PARTS, tmp_path / "parts.json")
    document = tmp_path / "docs" / "scaling.md"
    document.parent.mkdir()
    document.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\n# After\n", "utf-8")
    out = document.parent / "benchmarks"
    options = ["--parts", str(tmp_path / "parts.json"), "--out", str(out), "--most-workers", "10"]
    assert command.main(["report", *options, "--document", str(document)]) == 0
    text = document.read_text("utf-8")
    assert text.startswith(f"# Before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\n# After\n")
    assert "old" not in text
    assert "| pending cost |" in text
    pictures = [line.partition("(")[2][:-1] for line in text.splitlines() if line.startswith("![")]
    assert len(pictures) == 4
    assert all((document.parent / name).is_file() for name in pictures)


def test_a_document_without_marks_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_parts(PARTS, tmp_path / "parts.json")
    document = tmp_path / "any.md"
    document.write_text("# Nothing\n", "utf-8")
    options = ["--parts", str(tmp_path / "parts.json"), "--out", str(tmp_path / "out"), "--most-workers", "1"]
    assert command.main(["report", *options, "--document", str(document)]) == 1
    assert "has no marks" in capsys.readouterr().err
