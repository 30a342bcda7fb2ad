"""Percentiles of latencies."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)
    return ordered[min(len(ordered) - 1, max(0, rank - 1))]


def latency_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds, and the number of latencies."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: round(percentile(latencies_s, share) * 1000, 2) for name, share in shares.items()} | {
        "count": len(latencies_s)
    }
