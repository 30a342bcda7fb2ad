"""How much processor this worker may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_QUOTA_V1 = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")


@dataclass(frozen=True, slots=True)
class CpuBudget:
    """`cores` are those it may run on; `count` is how many of them the container's quota pays for."""

    cores: list[int]
    count: int

    def at_most(self, cores: int | None) -> CpuBudget:
        """Return the budget of a worker with a limit of cores; None is no limit."""
        return replace(self, count=min(self.count, cores or self.count))

    def of_child(self, index: int, threads: int) -> list[int]:
        """Return the cores of a child: its own, or all when only a quota says how much of them it gets."""
        if self.count < len(self.cores):
            return self.cores
        return [self.cores[(index * threads + i) % len(self.cores)] for i in range(threads)]


def cpu_budget(quota: Path = _QUOTA, quota_v1: Path = _QUOTA_V1) -> CpuBudget:
    """Read the affinity mask and the quota of cgroup v2, or that of v1 where the engine still has it.

    A system without affinity masks counts its cores.
    """
    cores = _usable_cores()
    paid = _quota_cores(quota) or _quota_cores_v1(quota_v1) or len(cores)
    return CpuBudget(cores, max(1, min(paid, len(cores))))


def pin(cores: Iterable[int]) -> None:
    """Keep this process on these cores, where the system can do that: macOS cannot."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _usable_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _quota_cores(quota: Path) -> int | None:
    """Whole cores of `max 100000` or `150000 100000`, microseconds; None without a limit."""
    try:
        granted, period = quota.read_text(encoding="ascii").split()
        return None if granted == "max" else math.ceil(int(granted) / int(period))
    except (OSError, ValueError):
        return None


def _quota_cores_v1(quota: Path) -> int | None:
    """Whole cores of a quota (-1 without a limit) and the period beside it; None without a limit."""
    try:
        granted = int(quota.read_text(encoding="ascii"))
        period = int(quota.with_name("cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return math.ceil(granted / period) if granted > 0 else None
