"""Linear models of texts: a baseline for a tuned model, doubtful labels, and what more texts would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler, normalize

FOLDS = 4
MAX_NGRAMS = 100_000
_INVERSE_PENALTY = 8.0
_MAX_STEPS = 300


@dataclass(frozen=True)
class Doubt:
    """A text whose label a model doubts: its number, the label that the model gives, and how sure it is."""

    text: int
    label: int
    confidence: float


def ngrams(texts: Sequence[str]) -> csr_matrix:
    """Return the weights of the character 1- to 4-grams of each text (texts, n-grams); rows of length 1."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), sublinear_tf=True, max_features=MAX_NGRAMS, dtype=np.float32
    )
    return vectorizer.fit_transform(texts)


def with_vectors(features: csr_matrix, vectors: NDArray[np.float32]) -> csr_matrix:
    """Return features (texts, n-grams) beside the encoder's vectors (texts, width), both of length 1."""
    return hstack([features, csr_matrix(normalize(StandardScaler().fit_transform(vectors)))]).tocsr()


def predict(
    features: csr_matrix, numbers: NDArray[np.int64], learnt: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the label numbers of the rows `others`, from a model that has learnt the rows `learnt`."""
    model = _model().fit(features[learnt], numbers[learnt])
    return np.asarray(model.predict(features[others]))


def doubts(
    features: csr_matrix, numbers: NDArray[np.int64], groups: NDArray[np.int64], count: int
) -> list[Doubt]:
    """Return at most `count` texts whose labels are most doubtful, the most doubtful first.

    Each text is judged by a model that has learnt neither it nor a near copy: `groups` (n,) are near copies.
    """
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    probabilities = cross_val_predict(
        _model(), features, numbers, groups=groups, cv=folds, method="predict_proba"
    )
    given, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(given != numbers)
    ordered = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    return [Doubt(int(text), int(given[text]), float(confidence[text])) for text in ordered]


def _model() -> Any:
    return LogisticRegression(C=_INVERSE_PENALTY, class_weight="balanced", max_iter=_MAX_STEPS)
