"""Train the n-gram head of a checkpoint: NB-SVM, each label against the others.

Wang and Manning, "Baselines and Bigrams", 2012, https://aclanthology.org/P12-2018: a linear support vector
machine on binary features, each multiplied by its naive Bayes log-count ratio, and texts of unit length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from worker.packs.ngrams import NgramHead, ngram_keys
from worker.scoring.batches import Row

NGRAMS = 80_000
MIN_COUNT = 3
_PENALTY = 0.5  # C of the support vector machine
_WEIGHT_STEPS, _RATIO_STEPS = 127, 255


def train_head(rows: Sequence[Row], numbers: Sequence[int], labels: int, ngrams: int = NGRAMS) -> NgramHead:
    """Return the head for token rows, [CLS] to [SEP], with these label numbers.

    It is trained on all n-grams that occur in MIN_COUNT rows, then again on the `ngrams` of the largest
    weights. Its `scale` is that of the support vector machine: see `scaled`.
    """
    vectorizer = CountVectorizer(analyzer=_keys, min_df=MIN_COUNT, binary=True, dtype=np.float32)
    features = vectorizer.fit_transform(rows)
    truth = np.array(numbers)
    _, coefficients = _fit(features, truth, labels)
    largest = np.sort(np.argsort(-np.abs(coefficients).max(axis=1), kind="stable")[:ngrams])
    ratios, weights = _fit(features[:, largest], truth, labels)
    keys = np.array(vectorizer.get_feature_names_out(), np.uint64)[largest]
    order = np.argsort(keys)
    return _quantised(keys[order], weights[order], ratios[order])


def scaled(
    head: NgramHead, encoder: NDArray[np.float64], ngrams: NDArray[np.float64], numbers: Sequence[int]
) -> NgramHead:
    """Return the head with the scale at which it helps the encoder the most.

    `encoder` and `ngrams` are the logits (n, labels) of texts that neither has learned from, `numbers` their
    labels. The scale and the temperature of the encoder together maximise the likelihood of the labels.
    """
    truth = np.array(numbers)

    def loss(logs: NDArray[np.float64]) -> float:
        share, cold = np.exp(logs)
        logits = (encoder + share * ngrams) * cold
        return float(np.mean(logsumexp(logits, axis=1) - logits[np.arange(len(truth)), truth]))

    share = float(np.exp(minimize(loss, np.zeros(2), method="Nelder-Mead").x[0]))
    return replace(head, scale=(head.scale * share).astype(np.float32))


def _keys(row: Row) -> list[int]:
    ids = np.array([row[1:-1]], np.int64)
    keys = np.unique(ngram_keys(ids, np.ones_like(ids))) if ids.size else ids
    return [key for key in keys.tolist() if key]


def _fit(
    features: sparse.csr_matrix, truth: NDArray[np.int64], labels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the naive Bayes ratios and the weights, ratio times coefficient, both (n-grams, labels)."""
    fitted = [_against_others(features, truth == label) for label in range(1 if labels == 2 else 0, labels)]  # noqa: PLR2004
    ratios, weights = (np.array(part).T for part in zip(*fitted, strict=True))
    if labels == 2:  # noqa: PLR2004  one against the other, both ways
        return np.hstack([ratios, ratios]), np.hstack([-weights, weights])
    return ratios, weights


def _against_others(
    features: sparse.csr_matrix, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ratio and the weight of each n-gram for the chosen rows against the others."""
    inside, outside = (1 + np.asarray(features[rows].sum(axis=0)).ravel() for rows in (chosen, ~chosen))
    ratios = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    machine = LinearSVC(C=_PENALTY, fit_intercept=False, random_state=1)
    machine.fit(normalize(features.multiply(ratios).tocsr()), chosen)
    return ratios, ratios * machine.coef_[0]


def _quantised(
    keys: NDArray[np.uint64], weights: NDArray[np.float64], ratios: NDArray[np.float64]
) -> NgramHead:
    """Return the table in 8 bits."""
    weight, ratio = np.abs(weights).max(axis=0), np.abs(ratios).max(axis=0)
    scale = (weight / _WEIGHT_STEPS) / (ratio / _RATIO_STEPS)
    steps = np.rint(weights / weight * _WEIGHT_STEPS).astype(np.int8)
    lengths = np.rint(np.abs(ratios) / ratio * _RATIO_STEPS).astype(np.uint8)
    return NgramHead(keys, steps, lengths, scale.astype(np.float32))
