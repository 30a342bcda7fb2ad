"""The split of labelled texts, and the order of a learning curve."""

from __future__ import annotations

import numpy as np
import pytest

from training.gate import judge
from training.near_copies import group
from training.split import CHECKING, HELD_OUT, LEFT_OUT, SHARES, TRAINING, mixed_order, split

JUDGING = (CHECKING, HELD_OUT)


def texts_of(count: int) -> list[str]:
    """Return texts that are no near copies of each other."""
    return [f"第{number}段" for number in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_learnt_from_or_one_text_of_it_judges(seed: int) -> None:
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, 700, 1_000)
    parts = split(texts_of(1_000), groups, draw.choice(3, 1_000, p=[0.7, 0.25, 0.05]), seed)
    for name in set(groups.tolist()):
        of_group = sorted(parts[groups == name])
        assert set(of_group) == {TRAINING} or (of_group[0] in JUDGING and set(of_group[1:]) <= {LEFT_OUT})


@pytest.mark.parametrize("seed", range(5))
def test_all_parts_have_their_share_of_each_label(seed: int) -> None:
    numbers = np.random.default_rng(seed).choice(3, 1_000, p=[0.7, 0.25, 0.05])
    parts = split(texts_of(1_000), np.arange(1_000), numbers, seed)
    for part, share in enumerate(SHARES):
        counts = np.bincount(numbers[parts == part], minlength=3)
        assert np.abs(counts - share * np.bincount(numbers)).max() <= 1


def test_twenty_texts_of_a_label_are_enough_for_each_part() -> None:
    numbers = np.array([0] * 500 + [1] * 20)
    parts = split(texts_of(520), np.arange(520), numbers, 1)
    assert np.bincount(parts[numbers == 1], minlength=3).min() == 3


def test_another_seed_gives_another_split() -> None:
    numbers = np.array([0, 1] * 100)
    first, again, second = (split(texts_of(200), np.arange(200), numbers, seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != second.tolist()


@pytest.mark.parametrize("copies", [["好"] * 60, texts_of(60)], ids=["equal", "nearly equal"])
def test_a_large_group_is_learnt_from(copies: list[str]) -> None:
    groups = np.array([0] * 60 + [*range(1, 41)])
    for seed in range(20):
        parts = split([*copies, *texts_of(100)[60:]], groups, np.array([0, 1] * 50), seed)
        assert set(parts[:60]) == {TRAINING}
        assert set(parts[60:]) == {TRAINING, CHECKING, HELD_OUT}


@pytest.mark.parametrize("growth", [1.1, 1.5, 2, 5])
def test_what_a_later_round_judges_by_was_not_learnt_from(growth: float) -> None:
    for seed in range(10):
        draw = np.random.default_rng(seed)
        texts = [f"第{number}段，{'很' * 12}好" for number in range(round(400 * growth))]
        texts += [texts[number] + "啊" for number in range(0, 100, 5)]  # further copies of earlier texts
        numbers = draw.integers(0, 2, len(texts))
        before = split(texts[:400], np.arange(400), numbers[:400], seed)
        order = draw.permutation(len(texts))
        groups = np.array([*range(len(texts) - 20), *range(0, 100, 5)])
        after = np.empty(len(texts), np.int64)
        after[order] = split([texts[at] for at in order], groups[order], numbers[order], seed)
        learnt, judging = set(groups[:400][before == TRAINING]), set(groups[after == HELD_OUT])
        assert len(learnt) > 250
        assert not learnt & judging


def test_copies_do_not_make_the_gate_believe_chance() -> None:
    draw = np.random.default_rng(1)
    stories = ["".join(map(chr, draw.integers(0x4E00, 0x9FA5, 30))) for _ in range(200)]
    texts = [story + "！" * copy for story in stories for copy in range(5)]
    groups, passed = group(texts), 0
    for seed in range(40):
        numbers = np.repeat(draw.integers(0, 2, 200), 5)
        held_out = split(texts, groups, numbers, seed) == HELD_OUT
        # Two models that are equally often right, and give copies one label.
        first, second = (np.repeat(draw.random(200) > 0.7, 5) ^ numbers for _ in range(2))
        passed += judge(numbers[held_out], first[held_out], {"start": second[held_out]}, 2).passed
    assert passed <= 4  # one of 40 is expected


def test_each_beginning_of_the_mixed_order_has_all_labels_in_their_shares() -> None:
    numbers = np.array([0] * 80 + [1] * 20)
    order = mixed_order(numbers)
    assert sorted(order) == list(range(100))
    for end in (25, 50):
        assert abs(int(numbers[order[:end]].sum()) - 0.2 * end) <= 1
