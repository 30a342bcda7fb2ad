"""What a campaign found: a line a step, a table of kinds, and the command that repeats a failure."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.campaign import Result
from tests.faults.kinds import KINDS


@dataclass
class Seed:
    """The results of a seed. `problems` are those of its end; `command` repeats it."""

    number: int
    command: str
    results: list[Result] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.problems) or any(result.problems for result in self.results)


def line(seed: int, number: int, result: Result) -> str:
    """Return the line of a step, with a line of each of its problems below."""
    head = f"seed {seed}, fault {number}: {result.step}"
    if result.skipped:
        return f"{head}: skipped, this machine has no {result.skipped}"
    figures = f"{result.step.lasts_s:.1f} s, {result.items} items, new verdict {result.recovered_s:.1f} s"
    verdict = "ok" if not result.problems else f"{len(result.problems)} PROBLEMS"
    lost = f" (answers lost: {', '.join(result.lost)})" if result.lost else ""
    problems = "".join(f"\n  {problem}" for problem in result.problems)
    return f"{head}: {figures}, all checked {result.over_s:.1f} s: {verdict}{lost}{problems}"


def table(seeds: Sequence[Seed]) -> str:
    """Return the kinds with their number of runs, and median and maximum of the time to recover, in seconds.

    The times are those of faults that came alone; `-` where none did.
    """
    runs, failed = Counter[str](), Counter[str]()
    times: dict[str, list[float]] = defaultdict(list)
    for result in _all(seeds):
        runs.update(result.step.kinds)
        failed.update(result.step.kinds if result.problems else ())
        for kind in result.step.kinds:
            times[kind] += [result.recovered_s] if len(result.step.kinds) == 1 else []
    width = max(map(len, times), default=4)
    rows = [f"{'kind':{width}}  runs  failed  median s  max s"]
    for kind, each in sorted(times.items(), key=lambda entry: -max(entry[1], default=0)):
        figures = f"{median(each):8.1f}  {max(each):5.1f}" if each else f"{'-':>8}  {'-':>5}"
        rows.append(f"{kind:{width}}  {runs[kind]:4}  {failed[kind]:6}  {figures}")
    return "\n".join(rows)


def extent(seeds: Sequence[Seed]) -> str:
    """Return how much was run."""
    results = _all(seeds)
    kinds = {kind for result in results for kind in result.step.kinds}
    items = sum(result.items for result in results)
    return (
        f"{len(seeds)} seeds, {len(results)} faults, {len(kinds)} of {len(KINDS)} kinds, {items} items; "
        f"{sum(seed.failed for seed in seeds)} seeds failed"
    )


def _all(seeds: Sequence[Seed]) -> list[Result]:
    """Return the results of the faults that were not skipped."""
    return [result for seed in seeds for result in seed.results if not result.skipped]


def failures(seeds: Sequence[Seed]) -> str:
    """Return what failed, with the command that repeats it."""
    lines = []
    for seed in seeds:
        if seed.failed:
            lines.append(f"seed {seed.number} failed; to repeat it: {seed.command}")
            for result in seed.results:
                lines += [f"  {result.step}: {problem}" for problem in result.problems]
            lines += [f"  at the end: {problem}" for problem in seed.problems]
    return "\n".join(lines)


def write(path: Path, seeds: Sequence[Seed]) -> None:
    """Write all figures as JSON."""
    path.write_text(json.dumps([_described(seed) for seed in seeds], ensure_ascii=False, indent=1), "utf-8")


def _described(seed: Seed) -> dict[str, Any]:
    steps = [
        {
            "kinds": list(result.step.kinds),
            "lasts_s": result.step.lasts_s,
            "items": result.items,
            "recovered_s": round(result.recovered_s, 2),
            "over_s": round(result.over_s, 2),
            "skipped": result.skipped,
            "answers_lost": list(result.lost),
            "problems": list(result.problems),
        }
        for result in seed.results
    ]
    return {"seed": seed.number, "command": seed.command, "faults": steps, "problems": seed.problems}
