"""The teacher: a linear model on character n-grams whose probabilities soften the labels.

Each text is scored by a copy that was not trained on it, so the teacher cannot repeat a label it has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from training.corpus import Targets, one_hot

FOLDS = 4


def teacher_probabilities(texts: list[str], labels: list[int]) -> NDArray[np.float64]:
    """Return the probabilities (n, labels) of each text's label, from a copy trained on the other folds."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True, dtype=np.float32
    )
    features = vectorizer.fit_transform(texts)
    model = LogisticRegression(solver="liblinear", C=6)
    return np.asarray(cross_val_predict(model, features, labels, cv=FOLDS, method="predict_proba"))


def soft_targets(labels: list[int], probabilities: NDArray[np.float64], weight: float) -> Targets:
    """Return targets (n, labels): the labels, moved by a share of `weight` towards the probabilities."""
    mixed = (1 - weight) * one_hot(labels, probabilities.shape[1]) + weight * probabilities
    return mixed.astype(np.float32)
