"""How several packs of one host share its cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.process.cpu import CpuBudget


@dataclass(frozen=True, slots=True)
class Share:
    """What the worker of one pack gets: children, and the number of cores that they use at most.

    `cores` are those of its own; empty where a quota says how much of all cores the host gets.
    """

    name: str
    directory: str
    children: int
    count: int
    cores: Sequence[int]


def shares_of(packs: Sequence[str], budget: CpuBudget, children: int | None = None) -> list[Share]:
    """Divide cores and children by the weights of the packs; without a number of children, one a core.

    Each pack gets one at least. A pack is `NAME=DIRECTORY` or `NAME:WEIGHT=DIRECTORY`.
    """
    given = [
        (*_name_and_weight(name), directory) for name, _, directory in (each.partition("=") for each in packs)
    ]
    weights = [weight for _, weight, _ in given]
    counts = _divide(budget.count, weights)
    numbers = _divide(children, weights) if children else counts
    shares, first = [], 0
    for (name, _, directory), number, count in zip(given, numbers, counts, strict=True):
        # With a quota no core belongs to this host alone.
        pinned = budget.count == len(budget.cores)
        cores = [budget.cores[(first + i) % len(budget.cores)] for i in range(count)] if pinned else []
        shares.append(Share(name, directory, number, count, cores))
        first += count
    return shares


def _name_and_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition(":")
    return name, float(weight or 1)


def _divide(total: int, weights: Sequence[float]) -> list[int]:
    """Return whole parts of a total by weight, at least one each; the rest goes to the largest remainders."""
    if not weights:
        return []
    exact = [total * weight / sum(weights) for weight in weights]
    parts = [max(1, int(each)) for each in exact]
    by_remainder = sorted(range(len(weights)), key=lambda i: exact[i] - parts[i], reverse=True)
    for i in by_remainder[: max(0, total - sum(parts))]:
        parts[i] += 1
    return parts
