"""The digits of probabilities, scores and shares in a response."""

from __future__ import annotations

from typing import overload

_DIGITS = 6


@overload
def rounded(number: float) -> float: ...
@overload
def rounded(number: None) -> None: ...
@overload
def rounded(number: float | None) -> float | None: ...
def rounded(number: float | None) -> float | None:
    """Return a number with six digits behind the point; None stays None."""
    return None if number is None else round(number, _DIGITS)
