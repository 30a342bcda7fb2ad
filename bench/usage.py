"""CPU time and peak memory of processes, by their part in the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

from local.stack import Stack

Parts = dict[str, list[psutil.Process]]


class CpuMeter:
    """Sums the CPU seconds that each part uses while the meter is entered."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.seconds: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Start counting."""
        self.seconds.subtract(self._read())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop counting."""
        self.seconds.update(self._read())

    def _read(self) -> Counter[str]:
        return Counter(
            {
                part: sum(sum(process.cpu_times()[:2]) for process in processes)
                for part, processes in self.parts.items()
            }
        )

    def per_1000(self, texts: int) -> dict[str, float]:
        """Return the CPU seconds per 1,000 texts, by part."""
        return {part: seconds * 1000 / texts for part, seconds in self.seconds.items()}


def parts_of(stack: Stack) -> Parts:
    """Return the processes of a stack, Flower if it runs, and of its client, which is this process."""
    top = {process.name: psutil.Process(process.pid) for process in stack.processes}
    flower = {"flower": [psutil.Process(stack.flower.pid)]} if stack.flower else {}
    return {
        "api": [top["api"], *top["api"].children(recursive=True)],
        "redis": [top["redis"]],
        "worker parent": [top["worker"]],
        "worker children": top["worker"].children(recursive=True),
        **flower,
        "client": [psutil.Process()],
    }


def worker_processes(stack: Stack) -> list[psutil.Process]:
    """Return the worker's children, then the worker itself."""
    worker = next(psutil.Process(process.pid) for process in stack.processes if process.name == "worker")
    return [*worker.children(), worker]


def peak_mb(parts: Parts) -> dict[str, list[int]]:
    """Return the peak resident memory of every process in MiB, by part."""
    return {part: [_peak(process) for process in processes] for part, processes in parts.items()}


def _peak(process: psutil.Process) -> int:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return int(process.memory_info().rss) // 2**20
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]
    return int(kilobytes) // 1024


class TreeMeter:
    """Sums the CPU seconds of process trees while the meter is entered, those of ended children included."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self.seconds = 0.0

    def __enter__(self) -> Self:
        """Start counting."""
        self.seconds -= self._read()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop counting."""
        self.seconds += self._read()

    def _read(self) -> float:
        # A process counts the children that it has waited for in the two other figures.
        return sum(sum(process.cpu_times()[:4]) for process in self.processes())

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the trees that run now."""
        return [each for root in self._roots for each in (root, *root.children(recursive=True))]

    def resident_mb(self) -> int:
        """Return the memory of the trees in MiB; what processes share is counted in parts."""
        return sum(_proportional(process) for process in self.processes()) // 2**20


def _proportional(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.uss))
