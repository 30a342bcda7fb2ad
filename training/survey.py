"""What linear models say of labelled texts before a model is tuned on them.

They read character n-grams, and the sentence vectors that the start computes without training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from training.gate import measure
from training.linear import doubts, ngrams, predict, with_vectors
from training.own_texts import OwnTexts
from training.split import HELD_OUT, TRAINING, mixed_order

DOUBTS = 20
DOUBTS_HEADER = ("line", "text", "label", "label_expected", "confidence")
CURVE = (0.25, 0.5, 1.0)
MAJORITY, NGRAMS = "the most frequent label", "a linear model of character n-grams"


class Survey:
    """Doubtful labels, a learning curve, and what a tuned model with new labels must be better than."""

    def __init__(
        self, own: OwnTexts, groups: NDArray[np.int64], parts: NDArray[np.int64], vectors: NDArray[np.float32]
    ) -> None:
        """Groups of near copies and parts of the split are (n,), sentence vectors (n, width)."""
        self._own, self._groups, self._vectors = own, groups, vectors
        self._learnt, self._held_out = (np.flatnonzero(parts == part) for part in (TRAINING, HELD_OUT))

    @cached_property
    def _ngrams(self) -> csr_matrix:
        return ngrams(self._own.texts)

    @cached_property
    def _features(self) -> csr_matrix:
        return with_vectors(self._ngrams, self._vectors)

    def doubtful_labels(self) -> Iterator[tuple[object, ...]]:
        """Yield a row, as in DOUBTS_HEADER, for each of the DOUBTS most doubtful labels of all texts."""
        ids = self._own.labels.ids
        for doubt in doubts(self._features, self._own.numbers, self._groups, DOUBTS):
            row = self._own.file.rows[doubt.text]
            yield row.line, row.text, row.label, ids[doubt.label], round(doubt.confidence, 3)

    def learning_curve(self) -> list[dict[str, Any]]:
        """Return the measures on the held-out texts after a quarter, half and all of the training texts."""
        numbers = self._own.numbers
        order = self._learnt[mixed_order(numbers[self._learnt])]
        points = []
        for share in CURVE:
            learnt = order[: round(share * len(order))]
            given = predict(self._features, numbers, learnt, self._held_out)
            measured = measure(numbers[self._held_out], given, len(self._own.labels))
            points.append({"texts": len(learnt), **measured})
        return points

    def baselines(self) -> Mapping[str, NDArray[np.int64]]:
        """Return what does without the start: label numbers of the held-out texts by the name of a method."""
        numbers = self._own.numbers
        most_frequent = int(np.bincount(numbers[self._learnt]).argmax())
        return {
            MAJORITY: np.full(len(self._held_out), most_frequent),
            NGRAMS: predict(self._ngrams, numbers, self._learnt, self._held_out),
        }
