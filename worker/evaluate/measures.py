"""Accuracy and calibration of verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.labels import LabelSet
from tasks.vocabulary.verdicts import Verdict

BINS = 10
ABOVE = 0.9  # the confidence from which a verdict is counted as confident
_DIGITS = 4
Z = 1.959964  # standard deviations to either side that hold 95 % of a normal distribution


@dataclass(frozen=True)
class Scored:
    """Verdicts and true labels as arrays (n,): label numbers, confidence, two flags."""

    labels: LabelSet
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    uncertain: NDArray[np.bool_]
    truncated: NDArray[np.bool_]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], labels: LabelSet, true: Sequence[int]) -> Self:
        """Return the arrays of verdicts and the numbers of the true labels, both in the same order."""
        return cls(
            labels,
            np.array(true, np.int64),
            np.array([verdict.number for verdict in verdicts], np.int64),
            np.array([verdict.confidence for verdict in verdicts], np.float64),
            np.array([verdict.uncertain for verdict in verdicts], np.bool_),
            np.array([verdict.truncated for verdict in verdicts], np.bool_),
        )

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """Return the texts for which `mask` (n,) is true."""
        return type(self)(
            self.labels,
            self.true[mask],
            self.predicted[mask],
            self.confidence[mask],
            self.uncertain[mask],
            self.truncated[mask],
        )

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Return the confusion matrix (labels, labels): true label by row, verdict by column."""
        return confusion_matrix(self.true, self.predicted, len(self.labels))


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram: number of texts, mean confidence and accuracy."""

    texts: int
    confidence: float
    accuracy: float


def measure(scored: Scored) -> dict[str, Any]:
    """Return the measures of one or more texts, ready for JSON."""
    texts, confusion, ids = len(scored.true), scored.confusion, scored.labels.ids
    f1 = f1_scores(confusion)
    return {
        "texts": texts,
        "labels": dict(zip(ids, confusion.sum(axis=1).tolist(), strict=True)),
        "accuracy": rounded(confusion.trace() / texts),
        "macro_f1": rounded(f1.mean()),
        "f1": dict(zip(ids, map(rounded, f1), strict=True)),
        "ece": rounded(calibration_error(scored)),
        "confident": confident(scored),
        "confusion": {
            label: dict(zip(ids, counts, strict=True))
            for label, counts in zip(ids, confusion.tolist(), strict=True)
        },
        "uncertain_share": rounded(scored.uncertain.mean()),
        "truncated": int(scored.truncated.sum()),
    }


def confident(scored: Scored) -> dict[str, Any]:
    """Return the share of verdicts whose confidence is above ABOVE, and the share of these that is wrong.

    The interval of the latter is Wilson's with 95 %. Without such verdicts, what is wrong of them is None.
    """
    sure = scored.confidence > ABOVE
    texts, share = int(sure.sum()), rounded(sure.mean())
    described = {"above": ABOVE, "texts": texts, "share": share}
    if not texts:
        return described | {"wrong": None, "wrong_low": None, "wrong_high": None}
    wrong = int((scored.predicted != scored.true)[sure].sum())
    low, high = map(rounded, wilson_interval(wrong, texts))
    return described | {"wrong": rounded(wrong / texts), "wrong_low": low, "wrong_high": high}


def wilson_interval(count: int, of: int) -> tuple[float, float]:
    """Return the bounds of the 95 % interval of a share of `count` of one or more.

    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
    """
    share, square = count / of, Z**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z * math.sqrt(share * (1 - share) / of + square / (4 * of**2)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion_matrix(true: NDArray[np.int64], predicted: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Return the counts (labels, labels) of true label numbers by row and predicted ones by column."""
    counts: NDArray[np.int64] = np.bincount(true * labels + predicted, minlength=labels**2)
    return counts.reshape(labels, labels)


def f1_scores(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 score of each label (labels,); 0 for a label that no text has and no verdict gives."""
    either = confusion.sum(axis=0) + confusion.sum(axis=1)
    return np.asarray(2 * confusion.diagonal() / np.maximum(1, either))


def reliability(scored: Scored) -> list[Bin]:
    """Return the bins that contain texts, in the order of confidence. The scale has BINS bins."""
    correct = scored.predicted == scored.true
    numbers = np.minimum((scored.confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(int(inside.sum()), float(scored.confidence[inside].mean()), float(correct[inside].mean()))
        for inside in (numbers == number for number in range(BINS))
        if inside.any()
    ]


def calibration_error(scored: Scored) -> float:
    """Return the expected calibration error.

    It is the mean gap between confidence and accuracy over the bins, weighted by texts.
    """
    gaps = sum(abs(part.confidence - part.accuracy) * part.texts for part in reliability(scored))
    return gaps / len(scored.true)


def rounded(value: float) -> float:
    """Return a measure with the digits that reports have."""
    return round(float(value), _DIGITS)
