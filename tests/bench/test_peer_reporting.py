"""The report on peers prints the best figure in bold, and compares rates round by round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.peers.reporting import draw_rates, page, ratios, readme_rows
from bench.writing import write_report

_LATENCY = {"p50": 10.0, "p95": 20.0, "p99": 30.0, "count": 40}


def measured(bulk: float, flood: float, memory: float) -> dict[str, Any]:
    def rate(per_s: float) -> dict[str, Any]:
        return {"texts": 100, "per_s": per_s, "cpu_s_per_1000": 1000 / per_s}

    loads = {"bulk": rate(bulk), "flood": rate(flood) | {"latency_ms": _LATENCY}}
    return {**loads, "at_50%": _LATENCY, "at_80%": _LATENCY, "memory_mb": memory, "verdicts": []}


SERVICES = {
    "Sentiq": [measured(40, 30, 500), measured(20, 10, 500)],
    "Other, as it comes": [measured(10, 60, 400), measured(4, 20, 400)],
}
FIGURES: dict[str, Any] = {
    "name": "peers",
    "processor": "a processor",
    "cores": 2,
    "python": "3.11.0",
    "versions": {"celery": "5.7.0"},
    "seed": 7,
    "rounds": 2,
    "texts": "composed, seed 7",
    "text_chars": {"mean": 56.0},
    "services": SERVICES,
    "peers": {"Other, as it comes": {"advice": "", "versions": {"other": "1.2"}}},
    "left_out": {"Third, as it comes": "It cannot be installed: no wheel"},
}


def test_rates_are_compared_within_a_round() -> None:
    assert ratios(SERVICES, "bulk") == {"Other, as it comes": [4, 5]}
    assert ratios(SERVICES, "flood") == {"Other, as it comes": [0.5, 0.5]}


def test_a_peer_that_wins_is_shown_winning() -> None:
    (row,) = [line for line in page(FIGURES).splitlines() if line.startswith("| Other, as it comes | 7")]
    assert row == "| Other, as it comes | 7 | 175 | **40** | **33.3** | **400** |"
    (own,) = [line for line in page(FIGURES).splitlines() if line.startswith("| Sentiq | **30")]
    assert own == "| Sentiq | **30** | **37.5** | 20 | 66.7 | 500 |"


def test_rows_for_the_readme_say_who_is_faster() -> None:
    assert (
        "| against Other, as it comes | bulk 4.50 times (4.00 to 5.00), flood 0.50 times (0.50 to 0.50)"
        " | `make bench-peers` |" in readme_rows(SERVICES)
    )


def test_the_page_names_machine_versions_seed_and_who_is_missing() -> None:
    text = page(FIGURES)
    for part in ("a processor, 2 cores", "celery 5.7.0", "Seed: 7", "other 1.2", "no wheel"):
        assert part in text


def test_a_report_is_json_a_page_and_plots(tmp_path: Path) -> None:
    paths = write_report(tmp_path / "out", "peers", FIGURES, page(FIGURES), {"peers": draw_rates(SERVICES)})
    assert [path.name for path in paths] == ["peers.json", "peers.md", "peers.svg"]
    assert json.loads(paths[0].read_text("utf-8")) == FIGURES
    first = paths[2].read_bytes()
    assert b"<svg" in first
    write_report(tmp_path / "out", "peers", FIGURES, page(FIGURES), {"peers": draw_rates(SERVICES)})
    assert paths[2].read_bytes() == first
