"""A linear model on character n-grams whose doubts the small model learns along with the labels.

It scores each labelled text with a copy that was not trained on it, so that its probabilities are honest.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

FOLDS = 4


def doubts(texts: list[str], labels: list[int]) -> NDArray[np.float64]:
    """Probability of `positive` of each text, from copies trained on the other folds."""
    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=3, sublinear_tf=True, dtype=np.float32
    )
    features = vectorizer.fit_transform(texts)
    model = LogisticRegression(solver="liblinear", C=6)
    probabilities = cross_val_predict(model, features, labels, cv=FOLDS, method="predict_proba")
    return np.asarray(probabilities[:, 1])
