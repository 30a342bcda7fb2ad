"""Arrival times of an open loop."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice, takewhile


def poisson_times(per_s: float, seconds: float, seed: int) -> list[float]:
    """Return the seconds after the start at which requests arrive: a Poisson process of `per_s`."""
    return [*takewhile(lambda due: due < seconds, _arrivals(per_s, seed))]


def first_arrivals(per_s: float, count: int, seed: int) -> list[float]:
    """Return the seconds after the start of the first `count` arrivals of a Poisson process."""
    return [*islice(_arrivals(per_s, seed), count)]


def _arrivals(per_s: float, seed: int) -> Iterator[float]:
    chance = random.Random(seed)  # noqa: S311  a seed must give the same arrivals again
    due = 0.0
    while True:
        due += chance.expovariate(per_s)
        yield due
