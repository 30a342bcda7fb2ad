"""Divide labelled texts: those to learn from, those to check passes and calibrate by, those to judge by."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.near_copies import plain

TRAINING, CHECKING, HELD_OUT, LEFT_OUT = range(4)
SHARES = np.array([0.7, 0.15, 0.15])

Numbers = NDArray[np.int64]


def split(texts: Sequence[str], groups: Numbers, numbers: Numbers, seed: int) -> Numbers:
    """Return the part of each text (n,), from its group of near copies and its label number, both (n,).

    Near copies are one piece of evidence: a group is learnt from as a whole, or one text of it checks or
    judges and the others are LEFT_OUT. Each text has a rank, a hash of it and of the seed, and a group has
    the highest rank of its texts, which is the text that stands for it. The groups of each label are learnt
    from, check or judge by their ranks, from the highest to the lowest, in SHARES of their number.

    So a large group is learnt from, and ranks stay when texts are added: nothing judges that was learnt from
    before, unless the file more than doubles. The price is that parts have equal shares of the groups of each
    label, and not of all texts, nor of the other labels in a group.
    """
    ranks = _ranks(texts, seed)
    highest_first = np.argsort(~ranks)
    names, first = np.unique(groups[highest_first], return_index=True)
    chosen = highest_first[first]
    parts = np.empty(len(names), np.int64)
    for number in np.unique(numbers[chosen]):
        of_label = np.flatnonzero(numbers[chosen] == number)
        lowest_first = of_label[np.argsort(ranks[chosen[of_label]])]
        place = (np.arange(len(of_label)) + 0.5) / len(of_label)
        parts[lowest_first] = HELD_OUT - np.searchsorted(np.cumsum(SHARES[:0:-1]), place)
    part = parts[np.searchsorted(names, groups)]
    spare = part != TRAINING
    spare[chosen] = False
    return np.where(spare, LEFT_OUT, part)


def _ranks(texts: Sequence[str], seed: int) -> NDArray[np.uint64]:
    """Return the rank of each text (n,). Those of equal texts differ, so that many of them rank high."""
    seen: Counter[str] = Counter()
    ranks = np.empty(len(texts), np.uint64)
    for at, text in enumerate(map(plain, texts)):
        key = f"{seed} {seen[text]} {text}".encode("utf-8", "surrogatepass")
        ranks[at] = int.from_bytes(hashlib.sha256(key).digest()[:8], "big")
        seen[text] += 1
    return ranks


def mixed_order(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows (n,) in a random order in which each beginning has about the mixture of all labels."""
    shuffled = np.random.default_rng(0).permutation(len(numbers))
    place = np.empty(len(numbers))
    for number in np.unique(numbers):
        of_label = shuffled[numbers[shuffled] == number]
        place[of_label] = (np.arange(len(of_label)) + 0.5) / len(of_label)
    return np.argsort(place, kind="stable")
