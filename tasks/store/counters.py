"""Counters since the job store began: one hash of sums, named `counter` or `counter:label`.

Each changes in the Lua script that does the work it counts, so that a process killed at any moment loses no
count and makes none twice. A label is never a text, a key or an id. Buckets of histograms end at powers of
two.
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
    """Buckets that end at 2^lowest to 2^highest and at infinity. `unit` is that of the sum."""

    lowest: int
    highest: int
    unit: float = 1


_SECONDS = 0.001  # sums of times are kept in milliseconds, because integers add up exactly
HISTOGRAMS = {
    "queue_s": Histogram(-9, 12, _SECONDS),  # 2 ms to 68 minutes
    "job_s": Histogram(-7, 16, _SECONDS),  # 8 ms to 18 hours
    "forward_s": Histogram(-11, 5, _SECONDS),  # half a millisecond to 32 s
    "batch_rows": Histogram(0, 8),  # a forward takes at most 256 rows
    "batch_tokens": Histogram(4, 14),  # 16 to 16,384 tokens, padding left out
}


class LocalCounters:
    """Counts of a child, until the job store adds them with the next outcomes that the child writes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def observe(self, histogram: str, value: float) -> None:
        """Add a value to a histogram without labels, in the unit that its name ends with."""
        mantissa, power = math.frexp(value)
        self._counts[f"{histogram}:{power - (mantissa == 0.5)}"] += 1  # noqa: PLR2004  a power of two itself
        self._counts[f"{histogram}:{_SUM}"] += round(value / HISTOGRAMS[histogram].unit)

    def take(self) -> Mapping[str, int]:
        """Return the counts, and start again at zero."""
        taken, self._counts = self._counts, Counter()
        return taken


def code_points_read(counts: Mapping[str, int]) -> int:
    """Return what a child's model read in the unit of prices: tokens without [CLS] and [SEP]."""
    return counts.get("batch_tokens:sum", 0) - 2 * counts.get("batch_rows:sum", 0)


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading of all counters."""

    counts: Mapping[str, int]

    @classmethod
    def read(cls, store: JobStore) -> Counters:
        """Read all counters."""
        with store_errors():
            raw: dict[bytes, bytes] = store.redis.hgetall(COUNTERS)
        return cls({name.decode(): int(count) for name, count in raw.items()})

    def labels(self, counter: str) -> Iterator[tuple[str, int]]:
        """Yield the labels of a counter that have occurred, each with its count."""
        for name, count in sorted(self.counts.items()):
            if name.startswith(f"{counter}:"):
                yield name.removeprefix(f"{counter}:"), count

    def histogram(self, name: str, label: str = "") -> tuple[Sequence[tuple[float, int]], float]:
        """Return each bucket's upper bound with the count of values up to it, and the sum of all values."""
        shape, buckets = HISTOGRAMS[name], dict(self.labels(f"{name}:{label}" if label else name))
        total = round(buckets.pop(_SUM, 0) * shape.unit, 3)
        counts = {int(power): count for power, count in buckets.items()}
        bounds = range(shape.lowest, shape.highest + 1)
        upto = [(2.0**end, sum(n for power, n in counts.items() if power <= end)) for end in bounds]
        return [*upto, (math.inf, sum(counts.values()))], total


def increment(store: JobStore, counter: str, by: int = 1) -> None:
    """Add to a counter that no script changes."""
    with store_errors():
        store.redis.hincrby(COUNTERS, counter, by)
