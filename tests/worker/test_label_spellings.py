"""What files write for labels: ids, names, numbers, and 0, n and 1, which mean one thing or are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.vocabulary.labels import NEGATIVE_POSITIVE, LabelSet
from tests.random_packs import SEVEN, THREE, TWO, labels_named
from worker.evaluate.labelled import LabelledFileError, LabelledTexts, read_labelled

ASPECTS = labels_named("负面", "中性", "正面", "未提及")
DEGREES = labels_named("非常负面", "负面", "中性", "正面", "非常正面")
GRADES = labels_named("负面", "正面", "未提及")


def written(folder: Path, *labels: str) -> LabelledTexts:
    path = folder / "texts.csv"
    path.write_text("text,label\n" + "".join(f"好,{label}\n" for label in labels), "utf-8")
    return read_labelled(path)


def turned(labels: LabelSet) -> LabelSet:
    return LabelSet(tuple(reversed(labels.labels)))


def read(labelled: LabelledTexts, labels: LabelSet) -> list[str]:
    return [labels.ids[number] for number in labelled.numbers(labels)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["neutral", "中性", "Positive", "负面"], ["neutral", "neutral", "positive", "negative"]),
        (["0", "n", "1", "N"], ["negative", "neutral", "positive", "neutral"]),
        (["0", "1"], ["negative", "positive"]),
        (["1"], ["positive"]),
        (["0", "中性", "1"], ["negative", "neutral", "positive"]),
    ],
)
def test_of_three_labels_0_n_and_1_are_sides_in_any_order(
    tmp_path: Path, labels: list[str], expected: list[str]
) -> None:
    assert read(written(tmp_path, *labels), THREE) == expected
    assert read(written(tmp_path, *labels), turned(THREE)) == expected


def test_of_two_labels_1_is_positive_in_any_order(tmp_path: Path) -> None:
    labelled = written(tmp_path, "1", "0", "正面")
    assert read(labelled, TWO) == read(labelled, turned(TWO)) == ["positive", "negative", "positive"]


def test_a_file_with_a_2_numbers_three_labels(tmp_path: Path) -> None:
    assert written(tmp_path, "0", "1", "2", "中性").numbers(THREE) == [0, 1, 2, 1]


def test_labels_without_sides_are_numbered(tmp_path: Path) -> None:
    assert written(tmp_path, "0", "1").numbers(SEVEN) == [0, 1]
    assert written(tmp_path, "0", "3", "1").numbers(ASPECTS) == [0, 3, 1]
    assert written(tmp_path, "0", "1").numbers(GRADES) == [0, 1], "as a number or a side"


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        (["0", "n", "1", "2"], THREE, "line 5, column label: both n and 2 up to here, expected 0, n and 1"),
        (["2", "1", "n"], THREE, "line 4, column label: both n and 2 up to here"),
        (["0", "1"], ASPECTS, "line 3, column label: '1' is positive, or neutral by its number, and"),
        (["正面", "0"], DEGREES, "line 3, column label: '0' is negative, or very_negative by its number"),
        (["3"], THREE, r"'3', expected 0 \(negative\), n \(neutral\), 1 \(positive\) or a name"),
        (["2", "-1"], THREE, r"'-1', expected 0 \(negative\), 1 \(neutral\), 2 \(positive\) or a name"),
        (["1", "n"], TWO, r"line 3, column label: 'n', expected 0 \(negative\), 1 \(positive\) or a name"),
    ],
)
def test_what_may_be_several_labels_or_none_is_refused(
    tmp_path: Path, given: list[str], labels: LabelSet, message: str
) -> None:
    with pytest.raises(LabelledFileError, match=message):
        written(tmp_path, *given).numbers(labels)


def test_texts_with_labels_that_a_pack_lacks_are_counted_and_left_out(tmp_path: Path) -> None:
    labelled = written(tmp_path, "1", "n", "0", "中性", "n", "高兴")
    kept, others = labelled.shared([TWO, THREE])
    assert ([row.line for row in kept.rows], others) == ([2, 4], {"n": 2, "中性": 1, "高兴": 1})
    assert read(kept, TWO) == read(kept, THREE) == ["positive", "negative"]
    assert labelled.shared([THREE])[1] == {"高兴": 1}


@pytest.mark.parametrize("label", ["2", "-1", "1.0", "nan", ""])
def test_numbers_and_missing_labels_are_never_left_out(tmp_path: Path, label: str) -> None:
    kept, others = written(tmp_path, "0", "1", label).shared([NEGATIVE_POSITIVE])
    assert others == {}
    with pytest.raises(LabelledFileError, match=f"line 4, column label: '{label}', expected 0"):
        kept.numbers(NEGATIVE_POSITIVE)


def test_a_file_with_other_labels_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelledFileError, match=r"column label: no label of the pack, only 'n', '高兴'"):
        written(tmp_path, "n", "高兴").shared([TWO])
