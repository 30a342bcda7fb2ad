"""Accuracy and calibration of verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from tasks.vocabulary.verdicts import Verdict

BINS = 10
_DIGITS = 4


@dataclass(frozen=True)
class Scored:
    """Verdicts and true labels as arrays (n,): probability of positive, label (1 = positive), two flags."""

    positive: NDArray[np.float64]
    labels: NDArray[np.int64]
    uncertain: NDArray[np.bool_]
    truncated: NDArray[np.bool_]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], labels: Sequence[int]) -> Self:
        """Return the arrays of verdicts and labels, both in the same order."""
        return cls(
            np.array([verdict.kept[1] for verdict in verdicts], np.float64),
            np.array(labels, np.int64),
            np.array([verdict.uncertain for verdict in verdicts], np.bool_),
            np.array([verdict.truncated for verdict in verdicts], np.bool_),
        )

    def where(self, mask: NDArray[np.bool_]) -> Self:
        """Return the texts for which `mask` (n,) is true."""
        return type(self)(*(getattr(self, field.name)[mask] for field in fields(self)))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Return the labels of the verdicts (n,); a tie is positive."""
        return (self.positive >= 0.5).astype(np.int64)  # noqa: PLR2004  the midpoint

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Return the probability of each verdict's label (n,), 0.5 to 1."""
        return np.maximum(self.positive, 1 - self.positive)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Return the confusion matrix (2, 2): true label by row, verdict by column."""
        counts: NDArray[np.int64] = np.bincount(self.labels * 2 + self.predicted, minlength=4).reshape(2, 2)
        return counts


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram: number of texts, mean confidence and accuracy."""

    texts: int
    confidence: float
    accuracy: float


def measure(scored: Scored) -> dict[str, Any]:
    """Return the measures of one or more texts, ready for JSON."""
    texts, confusion = len(scored.labels), scored.confusion
    return {
        "texts": texts,
        "positive": int(confusion[1].sum()),
        "negative": int(confusion[0].sum()),
        "accuracy": _rounded(confusion.trace() / texts),
        "macro_f1": _rounded((_f1(confusion, 0) + _f1(confusion, 1)) / 2),
        "ece": _rounded(calibration_error(scored)),
        "confusion": {
            true: dict(zip(NEGATIVE_POSITIVE.ids, map(int, counts), strict=True))
            for true, counts in zip(NEGATIVE_POSITIVE.ids, confusion, strict=True)
        },
        "uncertain_share": _rounded(scored.uncertain.mean()),
        "truncated": int(scored.truncated.sum()),
    }


def reliability(scored: Scored) -> list[Bin]:
    """Return the bins that contain texts, in the order of confidence. The scale has BINS bins."""
    correct = scored.predicted == scored.labels
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
    return gaps / len(scored.labels)


def _f1(confusion: NDArray[np.int64], label: int) -> float:
    return float(2 * confusion[label, label] / max(1, confusion[label].sum() + confusion[:, label].sum()))


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
