"""How much processor this worker may use."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Share:
    """`cores` are those it may run on; `count` is how many of them the container's quota pays for."""

    cores: list[int]
    count: int

    def of_child(self, index: int, threads: int) -> list[int]:
        """Return the cores of a child: its own, or all when only a quota says how much of them it gets."""
        if self.count < len(self.cores):
            return self.cores
        return [self.cores[(index * threads + i) % len(self.cores)] for i in range(threads)]


def usable(quota: Path = _QUOTA) -> Share:
    """Read the affinity mask and the quota of cgroup v2 (`max 100000` or `150000 100000`, microseconds)."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        granted, period = quota.read_text(encoding="ascii").split()
        paid = len(cores) if granted == "max" else math.ceil(int(granted) / int(period))
    except (OSError, ValueError):
        paid = len(cores)
    return Share(cores, max(1, min(paid, len(cores))))
