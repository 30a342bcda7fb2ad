"""A source that cannot be served is refused with the file and the cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from tests.models.sources import CONFIG, PIECES, set_json, weights, write_source  # noqa: E402
from worker.packing.source import read_source  # noqa: E402
from worker.packs.pack import PackError  # noqa: E402


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source")


@pytest.mark.parametrize("name", ["config.json", "configuration.json"])
@pytest.mark.parametrize("key", ["allow_remote", "plugins", "auto_map"])
def test_a_source_that_asks_to_run_code_is_refused(source: Path, name: str, key: str) -> None:
    set_json(source / name, CONFIG | {key: ["x"]})
    with pytest.raises(PackError, match=rf"{name}: sets {key}"):
        read_source(source)


@pytest.mark.parametrize("labels", [1, 65])
def test_a_classifier_of_too_few_or_too_many_labels_is_refused(tmp_path: Path, labels: int) -> None:
    other = {"classifier.weight": torch.zeros(labels, 32), "classifier.bias": torch.zeros(labels)}
    with pytest.raises(PackError, match=f"weights: classifier has {labels} labels, expected 2 to 64"):
        read_source(write_source(tmp_path / "weights", weights() | other))


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({"model_type": "roberta"}, "model_type is 'roberta'"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
        ({"num_attention_heads": 5}, "5 attention heads do not divide a width of 32"),
    ],
)
def test_models_that_compute_something_else_are_refused(
    tmp_path: Path, config: dict[str, Any], cause: str
) -> None:
    with pytest.raises(PackError, match=rf"config\.json: {cause}"):
        read_source(write_source(tmp_path / "source", **config))


def test_a_cased_tokenizer_is_refused(source: Path) -> None:
    set_json(source / "tokenizer_config.json", {"do_lower_case": False})
    with pytest.raises(PackError, match=r"tokenizer_config\.json: do_lower_case is False"):
        read_source(source)


def test_a_config_that_lacks_a_number_is_refused(source: Path) -> None:
    set_json(source / "config.json", {"num_hidden_layers": 2})
    with pytest.raises(PackError, match=r"config\.json: 'num_attention_heads' is missing"):
        read_source(source)


def test_broken_json_is_refused(source: Path) -> None:
    (source / "configuration.json").write_text("{", "utf-8")
    with pytest.raises(PackError, match=r"configuration\.json: not JSON"):
        read_source(source)


@pytest.mark.parametrize(
    ("layers", "cause"),
    [(1, r"layer\.1.* is not part of a BERT of 1 layers"), (3, r"layer\.2.* is missing")],
)
def test_weights_of_another_depth_are_refused(tmp_path: Path, layers: int, cause: str) -> None:
    with pytest.raises(PackError, match=cause):
        read_source(write_source(tmp_path / "source", num_hidden_layers=layers))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        PackError, match=r"intermediate\.dense\.weight has the shape \(64, 32\), expected \(65, 32\)"
    ):
        read_source(write_source(tmp_path / "source", intermediate_size=65))


def test_a_model_without_a_classifier_is_refused(tmp_path: Path) -> None:
    headless = {name: value for name, value in weights().items() if "classifier" not in name}
    with pytest.raises(PackError, match=r"no classifier\.weight; the checkpoint is not fine-tuned"):
        read_source(write_source(tmp_path / "source", headless))


def test_weights_of_no_bert_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="not a BERT checkpoint"):
        read_source(write_source(tmp_path / "source", {"a": torch.zeros(1)}))


def test_a_missing_vocabulary_is_refused(source: Path) -> None:
    (source / "vocab.txt").unlink()
    with pytest.raises(PackError, match=r"vocab\.txt: missing from"):
        read_source(source)


def test_a_vocabulary_without_special_tokens_is_refused(source: Path) -> None:
    (source / "vocab.txt").write_text("\n".join(PIECES[1:]) + "\n", "utf-8")
    with pytest.raises(PackError, match=r"vocab\.txt: lacks the special tokens \[PAD\]"):
        read_source(source)


def test_a_vocabulary_larger_than_the_embeddings_is_refused(source: Path) -> None:
    (source / "vocab.txt").write_text("\n".join([*PIECES, "多"]) + "\n", "utf-8")
    with pytest.raises(
        PackError, match=rf"vocab\.txt: has {len(PIECES) + 1} tokens, the weights have {len(PIECES)}"
    ):
        read_source(source)


def with_rows(directory: Path, rows: int) -> Path:
    return write_source(
        directory, weights() | {"bert.embeddings.word_embeddings.weight": torch.zeros(rows, 32)}
    )


def test_embeddings_may_be_rounded_up(tmp_path: Path) -> None:
    assert read_source(with_rows(tmp_path / "source", len(PIECES) + 20)).shape.vocabulary == len(PIECES) + 20


def test_a_vocabulary_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"vocab\.txt: has"):
        read_source(with_rows(tmp_path / "source", len(PIECES) + 128))
