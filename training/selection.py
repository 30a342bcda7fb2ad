"""Select texts worth labelling: uncertain, unlike each other, and as many of each predicted label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

# How many of the most uncertain texts are considered for each one that is chosen.
POOL = 10
_NGRAMS = (2, 3)  # characters
_WIDTH_BITS = 9
_WIDTH = 1 << _WIDTH_BITS
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing, 2^64 by the golden ratio


def select(
    texts: Sequence[str], labels: Sequence[str], margins: NDArray[np.float64], count: int
) -> list[int]:
    """Return the places of up to `count` texts, the most uncertain first.

    `labels` are the predicted ones. `margins` (n,) say how certain they are: the probability of that label
    minus the next one's, or another measure that is low where a label is uncertain.
    """
    chosen: list[int] = []
    predicted = np.array(labels)
    for label, quota in quotas(Counter(labels), count).items():
        places = np.flatnonzero(predicted == label)
        pool = places[np.argsort(margins[places], kind="stable")[: POOL * quota]]
        vectors = ngram_vectors([texts[place] for place in pool])
        chosen += [int(pool[row]) for row in diverse(margins[pool], vectors, quota)]
    return sorted(chosen, key=lambda place: (margins[place], place))


def quotas(available: Mapping[str, int], count: int) -> dict[str, int]:
    """Return how many texts of each label to choose: equally many, and more where others have too few."""
    shares, left = {}, count
    rarest_first = sorted(available, key=lambda label: (available[label], label))
    for others, label in zip(range(len(rarest_first), 0, -1), rarest_first, strict=True):
        shares[label] = min(available[label], left // others)
        left -= shares[label]
    return shares


def diverse(margins: NDArray[np.float64], vectors: NDArray[np.float32], count: int) -> list[int]:
    """Return the rows of `count` texts, each with the least sum of margin and similarity to those before.

    The similarity is the highest cosine of the vectors (n, width). This is maximal marginal relevance
    (Carbonell and Goldstein, 1998, https://doi.org/10.1145/290941.291025) with equal weights.
    """
    chosen: list[int] = []
    cost, similarity = margins.copy(), np.zeros(len(margins), np.float32)
    for _ in range(count):
        best = int(np.argmin(cost + similarity))
        chosen.append(best)
        cost[best] = np.inf
        similarity = np.maximum(similarity, vectors @ vectors[best])
    return chosen


def ngram_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return a vector of length 1 for each text (n, width): hashed character n-grams, the rare ones more.

    The vector of a text without n-grams is 0.
    """
    vectors = np.zeros((len(texts), _WIDTH), np.float32)
    for place, text in enumerate(texts):
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
        for length in _NGRAMS:
            vectors[place] += np.bincount(_hashed(points, length), minlength=_WIDTH)
    vectors = np.log1p(vectors) * np.log(1 + len(texts) / np.maximum(1, (vectors > 0).sum(0)))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def _hashed(points: NDArray[np.uint64], length: int) -> NDArray[np.int64]:
    """Return the column of each n-gram of code points."""
    grams = max(0, len(points) - length + 1)
    codes = np.full(grams, length, np.uint64)
    for offset in range(length):
        codes = (codes + points[offset : offset + grams]) * _MULTIPLIER
    return (codes >> np.uint64(64 - _WIDTH_BITS)).astype(np.int64)
