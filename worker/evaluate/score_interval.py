"""The 95 % interval of the difference of two shares that are counted on the same texts."""

from __future__ import annotations

import math

from worker.evaluate.measures import Z

_HALVINGS = 50


def score_interval(fixed: int, broken: int, texts: int) -> tuple[float, float]:
    """Return the bounds of the difference of the shares that the first and the second classifier have right.

    Only the first is right on `fixed` texts, only the second on `broken` ones. The bounds are those of
    Tango's score interval (1998, Statistics in Medicine 17, pages 891 to 908). Where no text differs it is
    as wide as the number of texts demands; that of a bootstrap is a point there.
    """
    return _end(fixed, broken, texts, -1.0), _end(fixed, broken, texts, 1.0)


def _end(fixed: int, broken: int, texts: int, outside: float) -> float:
    """Return the difference between that of the texts and `outside` that is just not unlikely."""
    inside = (fixed - broken) / texts
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        if _is_likely(middle, fixed, broken, texts):
            inside = middle
        else:
            outside = middle
    return inside


def _is_likely(difference: float, fixed: int, broken: int, texts: int) -> bool:
    """Return whether a true difference is within Z standard deviations of the counted one.

    The deviation is that of the most likely share of broken texts, which solves a quadratic equation.
    """
    linear = (2 * texts - fixed + broken) * difference - fixed - broken
    constant = -broken * difference * (1 - difference)
    share = (math.sqrt(max(0.0, linear**2 - 8 * texts * constant)) - linear) / (4 * texts)
    variance = texts * (2 * share + difference * (1 - difference))
    return abs(fixed - broken - texts * difference) <= Z * math.sqrt(max(0.0, variance))
