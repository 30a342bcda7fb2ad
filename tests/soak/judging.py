"""Which measures may not grow, by how much at most, and what a run says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.soak.samples import Key, Series
from tests.soak.slopes import Slope, TooFewSamplesError, fit

# What a measure may grow in an hour. None: it grows by design, and is only shown.
BOUNDS: Mapping[str, float | None] = {
    "RSS MiB": 6.0,
    "descriptors": 6.0,
    "threads": 2.0,
    "other keys": 120.0,
    "other MiB": 6.0,
    "clients": 6.0,
    "long-lived keys": None,
    "long-lived MiB": None,
}


@dataclass(frozen=True)
class Judgement:
    """The growth of a measure of a process. `last` is its last value; without a slope it was too short."""

    who: str
    what: str
    slope: Slope | None
    bound: float | None
    last: float

    @property
    def grows(self) -> bool:
        """Return whether it grows faster than it may, beyond what chance explains."""
        return self.slope is not None and self.bound is not None and self.slope.exceeds(self.bound)

    @property
    def word(self) -> str:
        """Return the verdict in a word."""
        if self.slope is None:
            return "too short"
        if self.bound is None:
            return "by design"
        return "GROWS" if self.grows else "flat"


def judge(series: Mapping[Key, Series], warm_up_s: float) -> list[Judgement]:
    """Return a judgement of each series, of what was sampled after the warm-up."""
    return [_judged(key, each.since(warm_up_s)) for key, each in sorted(series.items()) if each.values]


def _judged(key: Key, series: Series) -> Judgement:
    who, what = key
    last = series.values[-1] if series.values else float("nan")
    try:
        slope = fit(series.times, series.values)
    except TooFewSamplesError:
        slope = None
    return Judgement(who, what, slope, BOUNDS[what], last)


def table(judgements: Sequence[Judgement]) -> str:
    """Return a row for each measure: its last value, its growth in an hour with its interval, the bound."""
    rows: list[tuple[str, ...]] = [("process", "measure", "last", "per hour", "95 % interval", "bound", "")]
    rows += [_row(each) for each in judgements]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_padded(row, widths) for row in rows)


def _row(each: Judgement) -> tuple[str, ...]:
    slope = each.slope
    growth = (
        ("", "") if slope is None else (f"{slope.per_hour:+.2f}", f"{slope.low:+.2f} to {slope.high:+.2f}")
    )
    bound = "" if each.bound is None else f"{each.bound:g}"
    return (each.who, each.what, f"{each.last:.1f}", *growth, bound, each.word)


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    named = [f"{cell:{width}}" for cell, width in zip(row[:2], widths[:2], strict=True)]
    numbers = [f"{cell:>{width}}" for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join([*named, *numbers]).rstrip()


def described(each: Judgement) -> dict[str, Any]:
    """Return a judgement for JSON."""
    return asdict(each) | {"verdict": each.word}
