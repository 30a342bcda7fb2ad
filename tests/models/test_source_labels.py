"""The labels of a source are found where ModelScope looks for them, in the order of the source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tests.models.sources import set_json
from tests.random_packs import SEVEN, THREE
from worker.packing.labels import read_input, read_labels
from worker.packs.pack import PackError

NUMBERS = {"恐惧": 0, "愤怒": 1, "厌恶": 2, "喜好": 3, "悲伤": 4, "高兴": 5, "惊讶": 6}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("label_mapping.json", {"正面": 0, "负面": 1}),
        ("configuration.json", {"model": {"label2id": {"Pos": 0, "Neg": 1}}}),
        ("configuration.json", {"model": {"id2label": {"0": "积极", "1": "消极"}}}),
        ("configuration.json", {"preprocessor": {"label2id": {"好评": 0, "差评": 1}}}),
        ("config.json", {"id2label": {"1": "NEGATIVE", "0": "POSITIVE"}}),
        ("config.json", {"label2id": {"正向": "0", "负向": "1"}}),
    ],
)
def test_labels_keep_the_order_of_the_source(tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    set_json(tmp_path / name, settings)
    assert read_labels(tmp_path, 2).ids == ("positive", "negative")


def test_the_mapping_that_modelscope_reads_first_wins(tmp_path: Path) -> None:
    set_json(tmp_path / "config.json", {"id2label": {"0": "矛盾", "1": "蕴涵", "2": "中立"}})
    assert read_labels(tmp_path, 3).ids == ("contradiction", "entailment", "neutral")
    set_json(tmp_path / "configuration.json", {"preprocessor": {"id2label": {"0": "负面", "1": "正面"}}})
    assert read_labels(tmp_path, 2).ids == ("negative", "positive")
    set_json(tmp_path / "label_mapping.json", NUMBERS)
    assert read_labels(tmp_path, 7) == SEVEN


def test_a_name_is_read_with_its_neighbours(tmp_path: Path) -> None:
    set_json(tmp_path / "label_mapping.json", {"负向": 0, "中立": 1, "正向": 2})
    assert read_labels(tmp_path, 3) == THREE
    set_json(tmp_path / "label_mapping.json", {"矛盾": 0, "中立": 1, "蕴含": 2})
    labels = read_labels(tmp_path, 3)
    assert labels.ids == ("contradiction", "neutral", "entailment")
    assert not labels.scored, "whether one sentence follows from another is neither good nor bad"


def test_emotions_have_a_polarity_each_and_a_face() -> None:
    assert SEVEN.scored
    assert len({label.emoji for label in SEVEN}) == len(SEVEN)


def test_an_english_name_that_is_unknown_becomes_the_id(tmp_path: Path) -> None:
    set_json(tmp_path / "config.json", {"id2label": {"0": "Sports", "1": "star 5 (best)"}})
    labels = read_labels(tmp_path, 2)
    assert labels.ids == ("sports", "star_5_best")
    assert [label.label_zh for label in labels] == ["Sports", "star 5 (best)"]
    assert not labels.scored


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["LABEL_0", "LABEL_1"], r"label 0 is only called 'LABEL_0'; name the labels with --labels FILE"),
        (["0", "1"], "label 0 is only called '0'"),
        (["体育", "财经"], "no id is known for label '体育'; name the labels with --labels FILE"),
        (["a" * 33, "b"], "no id is known for label 'a"),
        (["差评", "负面"], "two labels have the same id"),
        (["正面"], "1 labels, expected 2 to 64"),
    ],
)
def test_names_that_say_nothing_are_refused(tmp_path: Path, names: list[str], cause: str) -> None:
    set_json(tmp_path / "config.json", {"id2label": {str(n): name for n, name in enumerate(names)}})
    with pytest.raises(PackError, match=rf"config\.json: {cause}"):
        read_labels(tmp_path, len(names))


def test_a_source_that_names_none_is_refused(tmp_path: Path) -> None:
    set_json(tmp_path / "config.json", {"model_type": "bert"})
    with pytest.raises(PackError, match=r"config\.json: none of them names labels; name .* --labels FILE"):
        read_labels(tmp_path, 2)


@pytest.mark.parametrize(
    ("mapping", "cause"),
    [
        ({"id2label": {"one": "正面"}}, "label2id or id2label is malformed"),
        ({"label2id": ["正面", "负面"]}, "label2id or id2label is malformed"),
        ({"id2label": {"0": "负面", "2": "正面"}}, "not numbered from 0 without gaps"),
        ({"label2id": {"负面": 1, "正面": 1}}, "not numbered from 0 without gaps"),
    ],
)
def test_malformed_labels_are_refused(tmp_path: Path, mapping: dict[str, Any], cause: str) -> None:
    set_json(tmp_path / "config.json", mapping)
    with pytest.raises(PackError, match=rf"config\.json: .*{cause}"):
        read_labels(tmp_path, 2)


def test_other_labels_than_the_classifier_has_are_refused(tmp_path: Path) -> None:
    set_json(tmp_path / "label_mapping.json", NUMBERS)
    with pytest.raises(PackError, match=r"label_mapping\.json: has 7 labels, and the classifier has 2"):
        read_labels(tmp_path, 2)


def test_labels_of_a_file_are_taken_instead(tmp_path: Path) -> None:
    set_json(tmp_path / "config.json", {"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}})
    file = tmp_path / "labels.json"
    file.write_text(json.dumps(THREE.described()), "utf-8")
    assert read_labels(tmp_path, 3, file) == THREE
    with pytest.raises(PackError, match=r"labels\.json: has 3 labels, and the classifier has 2"):
        read_labels(tmp_path, 2, file)
    for content, cause in (("{", "Expecting"), ('{"a": 1}', "not a list"), ('[{"id": "a"}]', "label_zh")):
        file.write_text(content, "utf-8")
        with pytest.raises(PackError, match=rf"labels\.json: expected a JSON list of labels .*{cause}"):
            read_labels(tmp_path, 3, file)
    with pytest.raises(PackError, match=r"none\.json: cannot be read: No such file"):
        read_labels(tmp_path, 3, tmp_path / "none.json")


@pytest.mark.parametrize(
    ("settings", "reads"),
    [
        ({"task": "nli"}, "pair"),
        ({"task": "sentence-similarity"}, "pair"),
        ({"preprocessor": {"type": "sen-sim-tokenizer"}}, "pair"),
        ({"preprocessor": {"type": "x", "first_sequence": "a", "second_sequence": "b"}}, "pair"),
        ({"preprocessor": {"val": {"type": "x", "second_sequence": "b"}}}, "pair"),
        ({"task": "text-classification", "preprocessor": {"first_sequence": "sentence"}}, "text"),
        ({}, "text"),
    ],
)
def test_a_source_of_modelscope_says_what_it_reads(tmp_path: Path, settings: Any, reads: str) -> None:
    set_json(tmp_path / "configuration.json", settings)
    assert read_input(tmp_path) == reads
