"""Compare two classifiers on the same texts: paired differences with intervals, and McNemar's test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.evaluate.score_interval import score_interval

_OUTSIDE = 0.05  # share of the draws outside of an interval
_CELLS_AT_ONCE = 1 << 22
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True)
class Difference:
    """A measure of the first classifier minus that of the second, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """How two classifiers differ on the same texts.

    Only the first is right on the `fixed` texts, only the second on the `broken` ones. `p_value` is that of
    McNemar's exact test: the probability of at least so uneven numbers if both were equally often right.
    """

    accuracy: Difference
    macro_f1: Difference
    fixed: int
    broken: int
    p_value: float


def compare(  # noqa: PLR0913  three series, and what draws them
    true: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    labels: int,
    *,
    seed: int = 1,
    draws: int = 2000,
) -> Paired:
    """Return the differences, first minus second, of label numbers (n,) against the true ones (n,).

    Accuracy has the interval of `score_interval`. That of macro F1 is by a paired bootstrap: it holds the
    middle 95 % of the differences in `draws` samples of n texts each, drawn with replacement. The order of
    the texts does not matter.
    Raises ValueError if there are no texts or the arrays differ in length.
    """
    if not len(true) == len(first) == len(second) > 0:
        raise ValueError(f"{len(true)}, {len(first)} and {len(second)} labels, expected as many of each")
    kinds, counts = np.unique(np.stack([true, first, second], 1), axis=0, return_counts=True)
    value = float(_differences(kinds, counts[None], labels)[0])
    # Texts with the same three labels are alike, so a sample is how many of each kind it has.
    chance, at_once = np.random.default_rng(seed), max(1, _CELLS_AT_ONCE // len(kinds))
    samples = []
    for begin in range(0, draws, at_once):
        size = min(at_once, draws - begin)
        drawn = chance.multinomial(len(true), counts / len(true), size)
        samples.append(_differences(kinds, drawn, labels))
    low, high = np.quantile(np.concatenate(samples), [_OUTSIDE / 2, 1 - _OUTSIDE / 2])
    fixed = int(((first == true) & (second != true)).sum())
    broken = int(((first != true) & (second == true)).sum())
    accuracy = Difference((fixed - broken) / len(true), *score_interval(fixed, broken, len(true)))
    macro_f1 = Difference(value, float(low), float(high))
    return Paired(accuracy, macro_f1, fixed, broken, mcnemar(fixed, broken))


def mcnemar(fixed: int, broken: int) -> float:
    """Return the p-value of McNemar's exact test, two-sided: a binomial test of equal chances."""
    fewer, both = min(fixed, broken), fixed + broken
    # The tail is summed from its largest term down, each relative to it, so that no term underflows.
    tail = term = 1.0
    for count in range(fewer, 0, -1):
        term *= count / (both - count + 1)
        tail += term
        if term < _NEGLIGIBLE:
            break
    largest = math.lgamma(both + 1) - math.lgamma(fewer + 1) - math.lgamma(both - fewer + 1)
    return min(1.0, 2 * tail * math.exp(largest - both * math.log(2)))


def _differences(kinds: NDArray[np.int64], counts: NDArray[np.int64], labels: int) -> NDArray[np.float64]:
    """Return the differences of macro F1 (samples,).

    Kinds (kinds, 3) are the true label, the first and the second; counts (samples, kinds) are their texts.
    """
    true, first, second = kinds.T
    return _macro_f1(true, first, counts, labels) - _macro_f1(true, second, counts, labels)


def _macro_f1(
    true: NDArray[np.int64], given: NDArray[np.int64], counts: NDArray[np.int64], labels: int
) -> NDArray[np.float64]:
    """Return macro F1 (samples,); the F1 of a label that does not occur is 0."""
    is_true, is_given = np.eye(labels)[true], np.eye(labels)[given]
    hits = counts @ (is_true * is_given)
    f1: NDArray[np.float64] = 2 * hits / np.maximum(1, counts @ (is_true + is_given))
    return np.asarray(f1.mean(1))
