"""The split of labelled texts, and the order of a learning curve."""

from __future__ import annotations

import numpy as np
import pytest

from training.split import CHECKING, HELD_OUT, SHARES, TRAINING, mixed_order, split


@pytest.mark.parametrize("seed", range(5))
def test_near_copies_stay_on_one_side_and_all_parts_have_all_labels(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 300, 1_000)
    numbers = draw.choice(3, 1_000, p=[0.7, 0.25, 0.05])
    parts = split(groups, numbers, seed)
    assert all(len(set(parts[groups == name])) == 1 for name in set(groups))
    for part in (TRAINING, CHECKING, HELD_OUT):
        counts = np.bincount(numbers[parts == part], minlength=3)
        wanted = SHARES[part] * np.bincount(numbers)
        assert np.abs(counts - wanted).max() <= 6


def test_twenty_texts_of_a_label_are_enough_for_each_part() -> None:
    numbers = np.array([0] * 500 + [1] * 20)
    parts = split(np.arange(520), numbers, 1)
    assert np.bincount(parts[numbers == 1], minlength=3).min() >= 2


def test_another_seed_gives_another_split() -> None:
    numbers = np.array([0, 1] * 100)
    first, again, second = (split(np.arange(200), numbers, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != second.tolist()


def test_one_group_of_most_texts_is_learnt_from() -> None:
    groups = np.array([0] * 60 + [*range(1, 41)])
    parts = split(groups, np.array([0, 1] * 50), 1)
    assert set(parts[:60]) == {TRAINING}
    assert {CHECKING, HELD_OUT} <= set(parts[60:])


def test_each_beginning_of_the_mixed_order_has_all_labels_in_their_shares() -> None:
    numbers = np.array([0] * 80 + [1] * 20)
    order = mixed_order(numbers)
    assert sorted(order) == list(range(100))
    for end in (25, 50):
        assert abs(int(numbers[order[:end]].sum()) - 0.2 * end) <= 1
