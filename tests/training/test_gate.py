"""The gate: what passes, what does not, and why."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.gate import DEALT_OUT, judge

DRAW = np.random.default_rng(7)
TRUE = DRAW.integers(0, 2, 300)


def with_errors(share: float, true: NDArray[np.int64] = TRUE, labels: int = 2) -> NDArray[np.int64]:
    """Return the labels with a share of them replaced by the next one."""
    wrong = DRAW.random(len(true)) < share
    return np.where(wrong, (true + 1) % labels, true)


def test_a_better_model_passes() -> None:
    judgement = judge(TRUE, with_errors(0.1), {"the start": with_errors(0.3)}, 2)
    assert judgement.passed
    assert judgement.figures["baseline"] == "the start"
    low = judgement.figures["differences"]["the start"]["macro_f1"]["low"]
    assert 0 < low < 0.2
    assert f"{low:+.3f}" in judgement.reason
    assert "of the start" in judgement.reason


def test_an_equal_model_does_not_pass_nor_does_a_slightly_better_one() -> None:
    start = with_errors(0.2)
    better = start.copy()
    better[np.flatnonzero(start != TRUE)[0]] = TRUE[np.flatnonzero(start != TRUE)[0]]
    for verdicts in (start, better):
        judgement = judge(TRUE, verdicts, {"the start": start}, 2)
        assert not judgement.passed
        assert "of the start" in judgement.reason


def test_a_model_that_learnt_only_how_frequent_the_labels_are_does_not_pass() -> None:
    true = np.array([0] * 60 + [1] * 240)
    one_sided = np.zeros(300, np.int64)
    mixed = np.random.default_rng(3).permutation(true)
    judgement = judge(true, mixed, {"the start": one_sided}, 2)
    assert judgement.figures["differences"]["the start"]["macro_f1"]["low"] > 0
    assert not judgement.passed
    assert DEALT_OUT in judgement.reason


def test_the_better_baseline_counts() -> None:
    true = DRAW.integers(0, 3, 300)
    baselines = {"most frequent": np.zeros(300, np.int64), "n-grams": with_errors(0.2, true, 3)}
    judgement = judge(true, with_errors(0.18, true, 3), baselines, 3)
    assert judgement.figures["baseline"] == "n-grams"
    assert not judgement.passed
    assert judge(true, with_errors(0.02, true, 3), baselines, 3).passed
