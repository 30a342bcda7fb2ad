"""Divide labelled texts: those to learn from, those to check passes and calibrate by, those to judge by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAINING, CHECKING, HELD_OUT = range(3)
SHARES = np.array([0.7, 0.15, 0.15])


def split(groups: NDArray[np.int64], numbers: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the part of each text (n,). The texts of a group are in one part, and parts have equal mixtures.

    `groups` and the label numbers are (n,). A group goes where most is missing of its labels; larger groups
    are placed first, equal ones in random order.
    """
    labels = int(numbers.max()) + 1
    names, group = np.unique(groups, return_inverse=True)
    mixtures = np.zeros((len(names), labels))
    np.add.at(mixtures, (group, numbers), 1)
    wanted = SHARES[:, None] * np.maximum(1, mixtures.sum(axis=0))
    missing, parts = wanted.copy(), np.empty(len(names), np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    for one in shuffled[np.argsort(-mixtures[shuffled].sum(axis=1), kind="stable")]:
        parts[one] = np.argmax(missing / wanted @ mixtures[one])
        missing[parts[one]] -= mixtures[one]
    return parts[group]


def mixed_order(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows (n,) in a random order in which each beginning has about the mixture of all labels."""
    shuffled = np.random.default_rng(0).permutation(len(numbers))
    place = np.empty(len(numbers))
    for number in np.unique(numbers):
        of_label = shuffled[numbers[shuffled] == number]
        place[of_label] = (np.arange(len(of_label)) + 0.5) / len(of_label)
    return np.argsort(place, kind="stable")
