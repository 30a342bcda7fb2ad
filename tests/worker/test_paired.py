"""Paired differences match resampled rows and known values, and their intervals hold the truth."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.evaluate.measures import confusion_matrix, f1_scores
from worker.evaluate.paired import Difference, compare, mcnemar
from worker.evaluate.score_interval import score_interval

Numbers = NDArray[np.int64]


def drawn(chance: np.random.Generator, texts: int, right: float, true: Numbers, labels: int) -> Numbers:
    """Return verdicts of which a share of `right` is right."""
    wrong = (true + chance.integers(1, labels, texts)) % labels
    return np.where(chance.random(texts) < right, true, wrong)


def three_series(texts: int, labels: int, seed: int = 3) -> tuple[Numbers, Numbers, Numbers]:
    chance = np.random.default_rng(seed)
    true = chance.integers(0, labels, texts)
    return true, drawn(chance, texts, 0.8, true, labels), drawn(chance, texts, 0.7, true, labels)


def measured(true: Numbers, given: Numbers, labels: int) -> tuple[float, float]:
    confusion = confusion_matrix(true, given, labels)
    return confusion.trace() / len(true), float(f1_scores(confusion).mean())


def test_differences_and_counts_match_a_count_by_hand() -> None:
    true, first = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 0])
    second = np.array([0, 1, 0, 0, 1])
    paired = compare(true, first, second, 2)
    assert paired.accuracy.value == pytest.approx(4 / 5 - 2 / 5)
    # F1 of the first: 4/5 and 4/5; of the second: 2/5 and 2/5.
    assert paired.macro_f1.value == pytest.approx(4 / 5 - 2 / 5)
    assert (paired.fixed, paired.broken) == (3, 1)
    assert paired.p_value == pytest.approx(2 * (1 + 4) / 2**4)


@pytest.mark.parametrize("labels", [2, 5])
def test_the_interval_of_macro_f1_is_that_of_resampled_rows(labels: int) -> None:
    true, first, second = three_series(120, labels)
    chance, samples = np.random.default_rng(8), []
    for _ in range(3_000):
        rows = chance.integers(0, len(true), len(true))
        one, other = (measured(true[rows], each[rows], labels)[1] for each in (first, second))
        samples.append(one - other)
    paired = compare(true, first, second, labels, draws=3_000)
    interval = (paired.macro_f1.low, paired.macro_f1.high)
    assert interval == pytest.approx(tuple(np.quantile(samples, [0.025, 0.975])), abs=0.012)
    for place, difference in enumerate((paired.accuracy, paired.macro_f1)):
        expected = measured(true, first, labels)[place] - measured(true, second, labels)[place]
        assert difference.value == pytest.approx(expected)


def standard_deviations(difference: float, fixed: int, broken: int, texts: int) -> float:
    """Return how far the counted difference is from a true one, whose likelihood is maximal by search."""
    share = np.linspace(max(0, -difference), (1 - difference) / 2, 400_001)[1:-1]
    likelihood = fixed * np.log(share + difference) + broken * np.log(share)
    likelihood += (texts - fixed - broken) * np.log(1 - 2 * share - difference)
    best = share[np.argmax(likelihood)]
    return (fixed - broken - texts * difference) / math.sqrt(
        texts * (2 * best + difference * (1 - difference))
    )


@pytest.mark.parametrize(
    ("fixed", "broken", "texts"), [(12, 4, 100), (9, 3, 32), (1, 0, 30), (43, 20, 2_000)]
)
def test_a_score_interval_ends_where_a_true_difference_is_unlikely(
    fixed: int, broken: int, texts: int
) -> None:
    low, high = score_interval(fixed, broken, texts)
    assert standard_deviations(low, fixed, broken, texts) == pytest.approx(1.96, abs=2e-3)
    assert standard_deviations(high, fixed, broken, texts) == pytest.approx(-1.96, abs=2e-3)
    assert score_interval(broken, fixed, texts) == pytest.approx((-high, -low))


def test_few_texts_that_do_not_differ_say_little() -> None:
    for texts, high in ((5, 0.4345), (50, 0.0713), (1_000, 0.0038)):
        assert score_interval(0, 0, texts) == pytest.approx((-high, high), abs=1e-4)
    assert score_interval(5, 0, 5)[1] == score_interval(0, 5, 5)[0] * -1 == pytest.approx(1)


def test_an_interval_holds_the_true_difference_in_about_95_of_100_experiments() -> None:
    held = 0
    for seed in range(300):
        true, first, second = three_series(300, 2, seed)
        difference = compare(true, first, second, 2, seed=seed, draws=400).accuracy
        held += difference.low <= 0.1 <= difference.high
    assert 0.91 <= held / 300 <= 0.98


def test_series_that_agree_differ_by_nothing_and_a_better_one_by_more() -> None:
    true, first, second = three_series(400, 3)
    same = compare(true, first, first, 3)
    assert (same.accuracy.value, same.macro_f1) == (0, Difference(0, 0, 0))
    assert same.accuracy.high == -same.accuracy.low == pytest.approx(0.0095, abs=1e-4)
    assert (same.fixed, same.broken, same.p_value) == (0, 0, 1)
    turned, paired = compare(true, second, first, 3), compare(true, first, second, 3)
    assert paired.accuracy.low > 0 > turned.accuracy.high
    assert (paired.fixed, paired.broken) == (turned.broken, turned.fixed)
    assert paired.p_value == turned.p_value < 0.01


def test_the_seed_decides_the_draws_and_the_order_of_the_texts_does_not() -> None:
    true, first, second = three_series(200, 2)
    paired = compare(true, first, second, 2)
    assert compare(true[::-1], first[::-1], second[::-1], 2) == paired
    other = compare(true, first, second, 2, seed=2)
    assert other.macro_f1 != paired.macro_f1
    assert (other.accuracy, other.macro_f1.value) == (paired.accuracy, paired.macro_f1.value)


def test_many_kinds_of_texts_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    series = three_series(500, 4)
    whole = compare(*series, 4)
    monkeypatch.setattr("worker.evaluate.paired._CELLS_AT_ONCE", 1_000)
    assert compare(*series, 4) == whole


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (1, 0), (0, 6), (9, 1), (5, 5), (60, 40), (700, 900)])
def test_mcnemar_matches_exact_fractions(fixed: int, broken: int) -> None:
    both = fixed + broken
    tail = sum(math.comb(both, count) for count in range(min(fixed, broken) + 1))
    exact = min(Fraction(1), Fraction(2 * tail, 2**both))
    assert mcnemar(fixed, broken) == pytest.approx(float(exact), rel=1e-9)


def test_mcnemar_of_a_million_texts_is_quick_and_finite() -> None:
    assert 0.0 <= mcnemar(400_000, 600_000) < 1e-300
    assert mcnemar(500_500, 499_500) == pytest.approx(0.3176, abs=1e-3)


def test_arrays_of_other_lengths_and_no_texts_are_refused() -> None:
    true, first, second = three_series(4, 2)
    with pytest.raises(ValueError, match="4, 4 and 3 labels"):
        compare(true, first, second[:3], 2)
    with pytest.raises(ValueError, match="0, 0 and 0 labels"):
        compare(true[:0], first[:0], second[:0], 2)
