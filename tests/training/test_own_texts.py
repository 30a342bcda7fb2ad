"""Files of labelled texts of one's own: which labels they have, and why some are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tasks.vocabulary.labels import NEGATIVE_POSITIVE
from training.near_copies import group
from training.own_texts import OwnTexts, read_own, require_enough
from worker.evaluate.labelled import LabelledFileError


def read(folder: Path, *labels: str, names: object = None) -> OwnTexts:
    """Read a file with a text for each label."""
    rows = [f"第{number}段文字,{label}" for number, label in enumerate(labels)]
    (folder / "own.csv").write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    (folder / "names.json").write_text(json.dumps(names), "utf-8")
    return read_own(folder / "own.csv", NEGATIVE_POSITIVE, folder / "names.json" if names else None)


def test_0_and_1_are_negative_and_positive(tmp_path: Path) -> None:
    own = read(tmp_path, "1", "0", "1")
    assert own.labels is NEGATIVE_POSITIVE
    assert own.numbers.tolist() == [1, 0, 1]


def test_labels_of_the_start_keep_its_order_in_any_spelling(tmp_path: Path) -> None:
    own = read(tmp_path, "正面", "差评", "Positive")
    assert own.labels is NEGATIVE_POSITIVE
    assert own.numbers.tolist() == [1, 0, 1]


def test_three_labels_are_read_from_the_file(tmp_path: Path) -> None:
    own = read(tmp_path, "positive", "neutral", "negative", "neutral")
    assert own.labels.ids == ("negative", "neutral", "positive")
    assert own.labels.polarities == (-1, 0, 1)
    assert own.numbers.tolist() == [2, 1, 0, 1]


def test_other_labels_are_ids(tmp_path: Path) -> None:
    own = read(tmp_path, "refund", "delivery", "other_2", "refund")
    assert own.labels.ids == ("delivery", "other_2", "refund")
    assert own.labels.polarities is None
    assert own.where(np.array([True, False, False, True])).texts == ["第0段文字", "第3段文字"]


def test_a_file_of_names_maps_labels_and_joins_some(tmp_path: Path) -> None:
    names = {"0": "negative", "n": "neutral", "1": "positive", "5": "positive",
             "x": {"id": "off_topic", "label_zh": "无关", "label_en": "Off topic"}}  # fmt: skip
    own = read(tmp_path, "1", "n", "5", "0", "x", names=names)
    assert own.labels.ids == ("negative", "neutral", "positive", "off_topic")
    assert own.numbers.tolist() == [2, 1, 2, 0, 3]
    assert [row.label for row in own.where(own.numbers == 2).rows] == ["positive", "positive"]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    own = read(tmp_path, "1", "", "0")
    assert own.texts == ["第0段文字", "第2段文字"]
    assert own.unlabelled == 1
    assert own.texts is own.texts, "reading one text after the other costs no list for each"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("0", "1", "n"), "line 2, column label: '0' is only a number; name it with --labels FILE"),
        (("negative", "退款"), "line 3, column label: '退款' is no label id, 1 to 32 of a-z, 0-9 and _"),
        (("spam", "ham", "Spam"), "line 4, column label: 'Spam' and 'spam' of line 2 differ by case only"),
        (("SPAM", "ham", "Spam"), "line 2, column label: 'SPAM' and 'Spam' of line 4 differ by case only"),
        (("positive", "正面"), "1 labels, expected 2 to 64"),
        (tuple(f"label_{number}" for number in range(65)), "65 labels, expected 2 to 64"),
    ],
)
def test_labels_that_say_nothing_are_refused(tmp_path: Path, labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(LabelledFileError, match=message):
        read(tmp_path, *labels)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"0": "negative"}, r"line 3, column label: '1' is not in .*names\.json"),
        ({"0": "negative", "1": "Not An Id"}, r"names\.json: expected a JSON object .*'Not An Id'"),
        ({"0": "negative", "1": {"id": "b"}}, r"names\.json: expected a JSON object"),
        (
            {
                "0": {"id": "a", "label_zh": "广告", "label_en": "Spam"},
                "1": {"id": "b", "label_zh": "垃圾", "label_en": "spam"},
            },
            r"names\.json: labels a and b are both named 'spam', in upper or lower case",
        ),
        ({"0": {"id": "ham", "label_zh": "广告", "label_en": "Spam"}, "1": "spam"}, "are both named 'spam'"),
        (["negative", "positive"], r"names\.json: expected a JSON object"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path: Path, names: object, message: str) -> None:
    with pytest.raises(LabelledFileError, match=message):
        read(tmp_path, "0", "1", names=names)


def test_an_empty_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("text,label\n好,1\n ,0\n", "utf-8")
    with pytest.raises(LabelledFileError, match="line 3, column text: empty"):
        read_own(tmp_path / "own.csv", None, None)


def test_too_few_different_texts_of_a_label_are_refused(tmp_path: Path) -> None:
    own = read(tmp_path, *["1"] * 25, *["0"] * 25)
    different, alike = np.arange(50), np.minimum(np.arange(50), 43)
    require_enough(own, different)
    message = r"label negative: 25 rows with 19 different texts \(near copies are one\), expected at least 20"
    with pytest.raises(LabelledFileError, match=message):
        require_enough(own, alike)
    assert len(group(own.texts)) == 50
