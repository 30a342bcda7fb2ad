"""The texts that a benchmark scores: from a file, and what they are like."""

import statistics
from collections.abc import Sequence
from pathlib import Path


def texts_from(path: Path, count: int) -> list[str]:
    """The first `count` lines of a file that are not empty."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line][:count]


def statistics_of(texts: Sequence[str]) -> dict[str, float]:
    """How long the texts are, in code points, and what share of them repeats another."""
    lengths = sorted(map(len, texts))
    percentiles = statistics.quantiles(lengths, n=100, method="inclusive")
    return {
        "count": len(texts),
        "mean": round(statistics.mean(lengths), 1),
        "p50": percentiles[49],
        "p95": percentiles[94],
        "max": lengths[-1],
        "repeated": round(1 - len(set(texts)) / len(texts), 4),
    }
