"""Percentiles by nearest rank."""

from __future__ import annotations

import pytest

from bench.percentiles import latency_ms, percentile


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(share: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == expected


def test_a_single_value_is_every_percentile() -> None:
    assert latency_ms([0.25]) == {"p50": 250, "p95": 250, "p99": 250, "count": 1}
