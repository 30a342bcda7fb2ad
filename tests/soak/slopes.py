"""How fast a measure grows, the interval in which that lies, and whether that is more than a bound allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

HOUR_S = 3600.0
LEAST = 12  # points, below which nothing is said
MOST = 200  # points; more are put together, since the slopes of all pairs are taken
RESAMPLES = 400
TAIL = 2.5  # percent on each side: an interval of 95 %

Series = NDArray[np.float64]


class TooFewSamplesError(Exception):
    """A series is too short to say anything of its slope."""


@dataclass(frozen=True)
class Slope:
    """The growth of a measure in an hour, and both ends of its interval of 95 %."""

    per_hour: float
    low: float
    high: float

    def exceeds(self, bound: float) -> bool:
        """Return whether the whole interval lies above a bound: chance alone does not explain the growth."""
        return self.low > bound


def fit(times_s: ArrayLike, values: ArrayLike, seed: int = 0) -> Slope:
    """Return the slope of a series: the median of the slopes of all pairs (Theil and Sen).

    A few outliers do not move it. The interval is that of a bootstrap which draws whole blocks of what the
    line leaves over, since a sample is like the one before it. Raises TooFewSamplesError.
    """
    times, points = _thinned(np.asarray(times_s, float), np.asarray(values, float))
    if len(times) < LEAST:
        message = f"{len(times)} samples; {LEAST} are needed"
        raise TooFewSamplesError(message)
    first, second = np.triu_indices(len(times), 1)
    spans = times[second] - times[first]

    def slope(of: Series) -> float:
        return float(np.median((of[second] - of[first]) / spans))

    found = slope(points)
    line = found * times
    left_over = points - line
    left_over -= np.median(left_over)
    rng = np.random.default_rng(seed)
    drawn = [slope(line + _in_blocks(left_over, rng)) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [TAIL, 100 - TAIL])
    return Slope(found * HOUR_S, float(low) * HOUR_S, float(high) * HOUR_S)


def _thinned(times: Series, values: Series) -> tuple[Series, Series]:
    """Return means of neighbouring times and medians of their values, `MOST` at most."""
    if len(times) <= MOST:
        return times, values
    parts = np.array_split(np.arange(len(times)), MOST)
    return (
        np.array([times[part].mean() for part in parts]),
        np.array([np.median(values[part]) for part in parts]),
    )


def _in_blocks(left_over: Series, rng: np.random.Generator) -> Series:
    """Return as many values, drawn as blocks of neighbours; the last one is followed by the first."""
    count = len(left_over)
    size = max(2, round(2 * count**0.5))
    starts = rng.integers(0, count, -(-count // size))
    places = (starts[:, None] + np.arange(size)).ravel()[:count] % count
    drawn: Series = left_over[places]
    return drawn
