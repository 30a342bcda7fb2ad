"""The arrivals of an open loop are a Poisson process, and the same for a seed."""

from __future__ import annotations

import statistics
from itertools import pairwise

import pytest

from bench.load.arrivals import first_arrivals, poisson_times


def test_a_seed_gives_the_same_times_again() -> None:
    assert poisson_times(50, 4, seed=1) == poisson_times(50, 4, seed=1)
    assert poisson_times(50, 4, seed=1) != poisson_times(50, 4, seed=2)


def test_times_rise_and_end_with_the_seconds() -> None:
    times = poisson_times(50, 4, seed=1)
    assert times == sorted(times)
    assert all(0 < time < 4 for time in times)
    assert times == first_arrivals(50, len(times), seed=1)


def test_gaps_are_exponential() -> None:
    gaps = [late - early for early, late in pairwise(first_arrivals(200, 20_000, seed=3))]
    assert statistics.mean(gaps) == pytest.approx(1 / 200, rel=0.03)
    # An exponential distribution is as wide as its mean, and 0.632 of it lie below the mean.
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.03)
    assert sum(gap < 1 / 200 for gap in gaps) / len(gaps) == pytest.approx(0.632, abs=0.01)


def test_counts_of_a_second_vary_as_much_as_their_mean() -> None:
    times = poisson_times(30, 2000, seed=4)
    counts = [0] * 2000
    for time in times:
        counts[int(time)] += 1
    assert statistics.mean(counts) == pytest.approx(30, rel=0.02)
    assert statistics.variance(counts) == pytest.approx(30, rel=0.1)
