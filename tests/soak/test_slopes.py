"""What a soak says of made series: those that leak, and those that only look so."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from numpy.typing import NDArray

from local.processes import ROOT
from tests.soak.judging import BOUNDS, Judgement, judge, table
from tests.soak.samples import Series
from tests.soak.slopes import HOUR_S, TooFewSamplesError, fit

Values = NDArray[np.float64]
EVERY_S = 5.0
MINUTES = 10
TIMES = np.arange(0, MINUTES * 60, EVERY_S)
RSS_BOUND = 6.0
SEEDS = range(40)


def noise(seed: int, memory: float = 0.8) -> Values:
    """Return noise of a MiB in which a sample resembles the one before it, as allocators make it."""
    rng, found = np.random.default_rng(seed), [0.0]
    for step in rng.normal(0, (1 - memory**2) ** 0.5, len(TIMES) - 1):
        found.append(memory * found[-1] + step)
    return np.array(found)


def leaking(seed: int, per_hour: float) -> Values:
    return 200 + per_hour * TIMES / HOUR_S + noise(seed)


def test_a_leak_is_measured() -> None:
    slope = fit(TIMES, leaking(0, 60))
    assert slope.low < 60 < slope.high
    assert slope.per_hour == pytest.approx(60, abs=15)


def test_leaks_are_told_from_noise() -> None:
    found = [fit(TIMES, leaking(seed, 60)).exceeds(RSS_BOUND) for seed in SEEDS]
    false = [fit(TIMES, leaking(seed, 0)).exceeds(RSS_BOUND) for seed in SEEDS]
    assert sum(found) == len(SEEDS)
    assert sum(false) <= 1


@pytest.mark.parametrize(
    "values",
    [
        np.full(len(TIMES), 20.0),
        200 + 10 * ((TIMES % 60) / 60),  # a pool that fills and is emptied
        200 + 30.0 * (np.arange(len(TIMES)) == len(TIMES) // 2),  # a spike
        20 + (np.arange(len(TIMES)) % 7 == 0),  # a descriptor that is open at times
        200 - 100 * TIMES / HOUR_S,
    ],
    ids=["still", "sawtooth", "spike", "at times", "shrinking"],
)
def test_what_only_looks_like_a_leak_is_flat(values: Values) -> None:
    assert not fit(TIMES, values).exceeds(RSS_BOUND)


def test_a_descriptor_a_minute_is_a_leak() -> None:
    slope = fit(TIMES, 20 + TIMES // 60)
    assert slope.exceeds(BOUNDS["descriptors"] or 0)
    assert slope.per_hour == pytest.approx(60, abs=2)


def test_hours_are_thinned_and_give_the_same_slope() -> None:
    times = np.arange(0, 4 * HOUR_S, EVERY_S)
    rng = np.random.default_rng(1)
    slope = fit(times, 200 + 8 * times / HOUR_S + rng.normal(0, 1, len(times)))
    assert slope.per_hour == pytest.approx(8, abs=0.2)
    assert slope.exceeds(RSS_BOUND)


def test_a_short_series_says_nothing() -> None:
    with pytest.raises(TooFewSamplesError, match="3 samples"):
        fit([0, 5, 10], [1, 2, 3])


def series(values: Values) -> Series:
    return Series(array("d", TIMES), array("d", values))


def judged(what: str, values: Values, warm_up_s: float = 120) -> Judgement:
    (judgement,) = judge({("api", what): series(values)}, warm_up_s)
    return judgement


def test_the_growth_of_a_warm_up_does_not_count() -> None:
    warming = 200 + 50 * np.minimum(TIMES, 120) / 120
    assert judged("RSS MiB", warming).word == "flat"
    assert judged("RSS MiB", warming, warm_up_s=0).slope != judged("RSS MiB", warming).slope


def test_what_grows_by_design_is_shown_and_fails_nothing() -> None:
    judgement = judged("long-lived keys", 10 * TIMES)
    assert (judgement.word, judgement.grows) == ("by design", False)


def test_the_table_names_what_grows() -> None:
    judgements = [judged("RSS MiB", leaking(0, 100)), judged("threads", np.full(len(TIMES), 9.0))]
    rows = table(judgements).splitlines()
    assert rows[0].split()[:2] == ["process", "measure"]
    assert rows[1].startswith("api")
    assert rows[1].endswith("GROWS")
    assert rows[2].endswith("flat")


def test_a_process_that_was_replaced_lately_is_too_short() -> None:
    late = Series(array("d", TIMES[-3:]), array("d", [1.0, 2.0, 3.0]))
    (judgement,) = judge({("worker, child 1", "RSS MiB"): late}, 120)
    assert (judgement.word, judgement.grows) == ("too short", False)


def test_the_bounds_are_those_that_are_documented() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text("utf-8").split("| measure | most in an hour |")[1]
    told = [
        f"| `{what}` | {'by design' if bound is None else f'{bound:g}'} |" for what, bound in BOUNDS.items()
    ]
    assert text.split("\n\n")[0].splitlines()[2:] == told
