"""What is counted since the job store began: one hash of sums, named `figure` or `figure:label`.

Each changes in the Lua script that does the work it tells of: children and API processes may die by
`kill -9` at any moment, and no count is lost with them or made twice. A label is never a text, a key or an
id. Histograms count into buckets that end at powers of two, each twice as wide as the one before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS

_SUM = "sum"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Buckets end at 2^lowest to 2^highest, and there is one without end. `unit` is that of the sum."""

    lowest: int
    highest: int
    unit: float = 1


_SECONDS = 0.001  # of times the sum is kept in milliseconds: integers add up exactly
HISTOGRAMS = {
    "queue_s": Histogram(-9, 12, _SECONDS),  # 2 ms to 68 minutes
    "job_s": Histogram(-7, 16, _SECONDS),  # 8 ms to 18 hours
    "forward_s": Histogram(-11, 5, _SECONDS),  # half a millisecond to 32 s
    "batch_items": Histogram(0, 8),  # a forward takes 256 rows at most
    "batch_tokens": Histogram(4, 14),  # 16 to 16,384 tokens, padding left out
}


class LocalCounters:
    """What a child adds up until the job store counts it with the next outcomes that the child writes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def observe(self, histogram: str, value: float) -> None:
        """Add a value, in the unit that the name ends with, to one of the histograms without labels."""
        mantissa, power = math.frexp(value)
        self._counts[f"{histogram}:{power - (mantissa == 0.5)}"] += 1  # noqa: PLR2004  a power of two itself
        self._counts[f"{histogram}:{_SUM}"] += round(value / HISTOGRAMS[histogram].unit)

    def take(self) -> Mapping[str, int]:
        """Return what was added up, and begin anew."""
        taken, self._counts = self._counts, Counter()
        return taken


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of all that was counted."""

    counts: Mapping[str, int]

    @classmethod
    def read(cls, store: JobStore) -> Counters:
        """Read the hash."""
        with store_errors():
            counted: dict[bytes, bytes] = store.redis.hgetall(COUNTERS)
        return cls({name.decode(): int(count) for name, count in counted.items()})

    def labels(self, figure: str) -> Iterator[tuple[str, int]]:
        """Yield the labels of a figure that were met, each with its count."""
        for name, count in sorted(self.counts.items()):
            if name.startswith(f"{figure}:"):
                yield name.removeprefix(f"{figure}:"), count

    def histogram(self, name: str, label: str = "") -> tuple[Sequence[tuple[float, int]], float]:
        """Return the upper bound of each bucket with the count of all values up to it, and the sum."""
        shape, found = HISTOGRAMS[name], dict(self.labels(f"{name}:{label}" if label else name))
        total = round(found.pop(_SUM, 0) * shape.unit, 3)
        counts = {int(power): count for power, count in found.items()}
        bounds = range(shape.lowest, shape.highest + 1)
        below = [(2.0**end, sum(n for power, n in counts.items() if power <= end)) for end in bounds]
        return [*below, (math.inf, sum(counts.values()))], total


def increment(store: JobStore, figure: str, by: int = 1) -> None:
    """Count what no script of the job store does."""
    with store_errors():
        store.redis.hincrby(COUNTERS, figure, by)
