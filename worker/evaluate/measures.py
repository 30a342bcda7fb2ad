"""How right verdicts are, and how right they claim to be."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.verdicts import Verdict
from worker.packs.pack import LABELS

BINS = 10
_DIGITS = 4


@dataclass(frozen=True)
class Scored:
    """Verdicts beside the truth, as arrays (n,): probabilities, labels (1 = positive), and two marks."""

    positive: NDArray[np.float64]
    labels: NDArray[np.int64]
    uncertain: NDArray[np.bool_]
    truncated: NDArray[np.bool_]

    @classmethod
    def of(cls, verdicts: Sequence[Verdict], labels: Sequence[int]) -> Self:
        """Put verdicts and labels together."""
        return cls(
            np.array([verdict.positive_prob for verdict in verdicts], np.float64),
            np.array(labels, np.int64),
            np.array([verdict.uncertain for verdict in verdicts], np.bool_),
            np.array([verdict.truncated for verdict in verdicts], np.bool_),
        )

    def where(self, chosen: NDArray[np.bool_]) -> Self:
        """The texts that are chosen (n,)."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Labels of the verdicts (n,); a tie is positive."""
        return (self.positive >= 0.5).astype(np.int64)  # noqa: PLR2004  the midpoint

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probabilities of the labels of the verdicts (n,), 0.5 to 1."""
        return np.maximum(self.positive, 1 - self.positive)

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Counts (2, 2) by true label, then by verdict."""
        counts: NDArray[np.int64] = np.bincount(self.labels * 2 + self.predicted, minlength=4).reshape(2, 2)
        return counts


@dataclass(frozen=True)
class Bin:
    """The texts whose confidence lies in one tenth of the scale: how sure they were, how often right."""

    texts: int
    confidence: float
    accuracy: float


def measure(scored: Scored) -> dict[str, Any]:
    """Every measure of at least one text, ready for JSON."""
    texts, confusion = len(scored.labels), scored.confusion
    return {
        "texts": texts,
        "positive": int(confusion[1].sum()),
        "negative": int(confusion[0].sum()),
        "accuracy": _rounded(confusion.trace() / texts),
        "macro_f1": _rounded((_f1(confusion, 0) + _f1(confusion, 1)) / 2),
        "ece": _rounded(calibration_error(scored)),
        "confusion": {
            true: {verdict: int(confusion[row, column]) for column, verdict in enumerate(LABELS)}
            for row, true in enumerate(LABELS)
        },
        "uncertain_share": _rounded(scored.uncertain.mean()),
        "truncated": int(scored.truncated.sum()),
    }


def reliability(scored: Scored) -> list[Bin]:
    """The tenths of the scale of confidence that hold texts, from the least sure on."""
    right = scored.predicted == scored.labels
    numbers = np.minimum((scored.confidence * BINS).astype(int), BINS - 1)
    return [
        Bin(int(inside.sum()), float(scored.confidence[inside].mean()), float(right[inside].mean()))
        for inside in (numbers == number for number in range(BINS))
        if inside.any()
    ]


def calibration_error(scored: Scored) -> float:
    """Expected calibration error: mean gap between confidence and accuracy, over bins weighted by texts."""
    gaps = sum(abs(part.confidence - part.accuracy) * part.texts for part in reliability(scored))
    return gaps / len(scored.labels)


def _f1(confusion: NDArray[np.int64], label: int) -> float:
    return float(2 * confusion[label, label] / max(1, confusion[label].sum() + confusion[:, label].sum()))


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
