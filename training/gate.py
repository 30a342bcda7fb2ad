"""The gate: whether a tuned model is better than what there was, on texts that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.evaluate.measures import confusion_matrix, f1_scores
from worker.evaluate.paired import Paired, compare

# A model that has learnt only how frequent the labels are beats a start that gives one label too often.
DEALT_OUT = "its own verdicts, dealt out at random"

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Judgement:
    """Whether a model passes, the reason in a sentence, and the figures, ready for JSON."""

    passed: bool
    reason: str
    figures: Mapping[str, Any]


def judge(true: Numbers, verdicts: Numbers, baselines: Mapping[str, Numbers], labels: int) -> Judgement:
    """Return whether the verdicts are better than those of the best baseline, by macro F1.

    All label numbers are (n,). To pass, the 95 % intervals of the differences to that baseline, and to the
    same verdicts in random order, must lie above 0.
    """
    measured = {name: measure(true, numbers, labels) for name, numbers in baselines.items()}
    best = max(measured, key=lambda name: measured[name]["macro_f1"])
    shuffled = np.random.default_rng(0).permutation(verdicts)
    rivals = {best: baselines[best], DEALT_OUT: shuffled}
    differences = {name: compare(true, verdicts, other, labels) for name, other in rivals.items()}
    worst = min(differences, key=lambda name: differences[name].macro_f1.low)
    passed = differences[worst].macro_f1.low > 0
    tuned = measure(true, verdicts, labels)
    figures = {
        "texts": len(true),
        "tuned": tuned,
        "baselines": measured,
        "baseline": best,
        "differences": {name: asdict(difference) for name, difference in differences.items()},
    }
    named = best if passed else worst
    return Judgement(passed, _reason(tuned["macro_f1"], named, differences[named], len(true)), figures)


def measure(true: Numbers, given: Numbers, labels: int) -> dict[str, float]:
    """Return accuracy and macro F1 of given label numbers (n,) against true ones (n,)."""
    f1 = f1_scores(confusion_matrix(true, given, labels)).mean()
    return {"accuracy": float((true == given).mean()), "macro_f1": float(f1)}


def _reason(macro_f1: float, rival: str, paired: Paired, texts: int) -> str:
    by = paired.macro_f1
    return (
        f"on {texts} held-out texts macro F1 is {macro_f1:.3f}, and {macro_f1 - by.value:.3f} of {rival}; "
        f"a difference of {by.value:+.3f}, 95 % interval {by.low:+.3f} to {by.high:+.3f}"
    )
