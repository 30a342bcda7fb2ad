"""Small runs of two benchmarks: each load is measured, with the CPU time of each part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.local.test_bench import bench


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


@pytest.mark.timeout(150)
def test_singles_reports_both_loads_by_process(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    result = bench("singles", "--count", "60", "--rounds", "1", "--callers", "4", "--json", str(out))
    assert result.returncode == 0, result.stderr
    report = json.loads(out.read_text("utf-8"))
    parts = {"api", "redis", "worker parent", "worker children", "flower", "leases", "wake-ups", "forwards"}
    assert all(parts < set(report["per_1000"][load]) for load in ("singles", "bulk"))
    assert report["per_1000"]["singles"]["leases"]["median"] > report["per_1000"]["bulk"]["leases"]["median"]
