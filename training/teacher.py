"""The teacher: a linear model on character n-grams whose probabilities soften the labels.

Each text is scored by a copy that was not trained on it, so the teacher cannot repeat a label it has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

FOLDS = 4


def teacher_probabilities(texts: list[str], labels: list[int]) -> NDArray[np.float64]:
    """Return the probability of `positive` of each text (n,), from a copy trained on the other folds."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True, dtype=np.float32
    )
    features = vectorizer.fit_transform(texts)
    model = LogisticRegression(solver="liblinear", C=6)
    probabilities = cross_val_predict(model, features, labels, cv=FOLDS, method="predict_proba")
    return np.asarray(probabilities[:, 1])


def soft_labels(labels: list[int], probabilities: NDArray[np.float64], weight: float) -> NDArray[np.float32]:
    """Return the labels (n,), moved by a share of `weight` towards the teacher's probabilities (n,)."""
    mixed = (1 - weight) * np.array(labels) + weight * probabilities
    return mixed.astype(np.float32)
