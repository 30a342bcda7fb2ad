from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.process.cpu import CpuBudget, cpu_budget, pin

OURS = sorted(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", len(OURS)), ("100000 100000", 1), ("50000 100000", 1), ("99900000 100000", len(OURS))],
)
def test_a_quota_limits_what_is_used(tmp_path: Path, quota: str, count: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cpu_budget(tmp_path / "cpu.max", tmp_path / "none") == CpuBudget(OURS, count)


@pytest.mark.parametrize(("quota", "count"), [(-1, len(OURS)), (100_000, 1), (50_000, 1)])
def test_an_engine_with_the_older_control_groups_is_understood(
    tmp_path: Path, quota: int, count: int
) -> None:
    (tmp_path / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu.cfs_period_us").write_text("100000\n")
    assert cpu_budget(tmp_path / "none", tmp_path / "cpu.cfs_quota_us") == CpuBudget(OURS, count)


def test_without_a_quota_all_cores_count(tmp_path: Path) -> None:
    assert cpu_budget(tmp_path / "none", tmp_path / "none") == CpuBudget(OURS, len(OURS))


def test_children_are_pinned_apart_only_where_whole_cores_are_ours() -> None:
    whole, paid = CpuBudget([2, 3, 4, 5], 4), CpuBudget([2, 3, 4, 5], 2)
    assert [whole.of_child(index, 2) for index in (0, 1, 2)] == [[2, 3], [4, 5], [2, 3]]
    assert paid.of_child(1, 1) == [2, 3, 4, 5]


def test_a_system_without_affinity_masks_counts_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.delattr(os, "sched_setaffinity")
    cores = os.cpu_count() or 1
    assert cpu_budget(tmp_path / "none", tmp_path / "none") == CpuBudget(list(range(cores)), cores)
    pin([0])
