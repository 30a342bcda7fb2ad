"""The report on latency by load, and the engine's own time."""

from __future__ import annotations

from typing import Any

from bench.load.alone import times_alone
from bench.programs.latency import draw_latency, page, readme_rows
from bench.writing import write_report


def load(p50: float) -> dict[str, float]:
    return {"p50": p50, "p95": 2 * p50, "p99": 3 * p50, "count": 100, "refusals": 4}


FIGURES: dict[str, Any] = {
    **dict.fromkeys(("processor", "python", "pack", "texts"), "any"),
    "cores": 2,
    "versions": {"celery": "5.7.0"},
    "seed": 7,
    "rounds": 2,
    "seconds": 5,
    "text_chars": {"mean": 56.0},
    "capacity_per_s": 500.0,
    "engine_alone_ms": {"p50": 2.0, "p95": 4.0, "p99": 6.0, "count": 100},
    "loads": {"0.1": load(5), "0.5": load(8), "0.8": load(20), "1.1": {"count": 0}},
}


def test_the_page_has_a_row_for_each_load_that_had_arrivals() -> None:
    text = page(FIGURES)
    assert "| 10% | 5 | 10 | 15 | 4 |" in text
    assert "| 110% |" not in text
    assert "one text at a time: p50 2 ms, p95 4 ms, p99 6 ms." in text


def test_rows_for_the_readme_are_those_at_half_and_at_four_fifths() -> None:
    half, most = readme_rows(FIGURES).splitlines()[2:]
    assert half.startswith(
        "| one text, submit to answer, at 50% of the capacity | p50 8 ms, p95 16 ms, p99 24"
    )
    assert most.startswith(
        "| one text, submit to answer, at 80% of the capacity | p50 20 ms, p95 40 ms, p99 60"
    )


def test_the_plot_shows_percentiles_and_the_engine_alone(tmp_path: Any) -> None:
    *_, plot = write_report(tmp_path, "latency", FIGURES, page(FIGURES), {"latency": draw_latency(FIGURES)})
    assert plot.read_text("utf-8").count("<!-- engine alone, p") == 3


def test_every_text_is_timed_once() -> None:
    times = times_alone(["很好", "不好", "一般"])
    assert len(times) == 3
    assert min(times) > 0
