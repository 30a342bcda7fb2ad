"""Checkpoints in StructBERT's layout, as ModelScope and Hugging Face directories hold them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from worker.engines.bert import BertShape
from worker.packs import PackError
from worker.tokenizer import load_tokenizer

NEGATIVE_NAMES = ("negative", "负面", "LABEL_0")
EMBEDDINGS_KEY = "embeddings.word_embeddings.weight"


@dataclass(frozen=True)
class Source:
    """A checkpoint under the parameter names of `BertClassifier`."""

    weights: dict[str, Tensor]
    shape: BertShape
    vocabulary: Path


def read_source(directory: Path) -> Source:
    """Read `config.json`, `vocab.txt` and the weights. Raises PackError naming the file and the cause."""
    for name in ("config.json", "vocab.txt"):
        if not (directory / name).is_file():
            raise PackError(f"{name}: missing from {directory}")
    _refuse_code(directory)
    config = json.loads((directory / "config.json").read_text("utf-8"))
    weights = _rename(_read_weights(directory))
    shape = _shape(config, weights)
    _check_vocabulary(directory / "vocab.txt", shape)
    return Source(weights, shape, directory / "vocab.txt")


def _refuse_code(directory: Path) -> None:
    """Such a directory asks its reader to run code or install packages."""
    path = directory / "configuration.json"
    settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for key in ("allow_remote", "plugins"):
        if settings.get(key):
            raise PackError(f"configuration.json: asks for {key}, which is never granted")


def _read_weights(directory: Path) -> dict[str, Tensor]:
    if (directory / "model.safetensors").is_file():
        return load_file(directory / "model.safetensors")
    if (directory / "pytorch_model.bin").is_file():
        weights: dict[str, Tensor] = torch.load(directory / "pytorch_model.bin", "cpu", weights_only=True)
        return weights
    raise PackError(f"model.safetensors, pytorch_model.bin: both missing from {directory}")


def _check_vocabulary(path: Path, shape: BertShape) -> None:
    try:
        size = load_tokenizer(path).get_vocab_size()
    except ValueError as error:
        raise PackError(str(error)) from error
    if size > shape.vocabulary:
        raise PackError(f"vocab.txt: has {size} tokens, the weights only {shape.vocabulary}")


def _rename(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """To the names of `BertClassifier`, whatever prefix the checkpoint uses."""
    prefix = next((key.removesuffix(EMBEDDINGS_KEY) for key in weights if key.endswith(EMBEDDINGS_KEY)), None)
    if prefix is None:
        raise PackError(f"weights: no key ends in {EMBEDDINGS_KEY}; not a BERT checkpoint")
    renamed = {}
    for key, value in weights.items():
        if key.rpartition("classifier.")[0] in ("", "head.") and "classifier." in key:
            renamed["classifier." + key.rpartition(".")[2]] = value.float()
        elif key.removeprefix(prefix).startswith(("embeddings.", "encoder.", "pooler.")):
            plain = key.removeprefix(prefix).replace(".gamma", ".weight").replace(".beta", ".bias")
            renamed["bert." + plain] = value.float()
    renamed.pop("bert.embeddings.position_ids", None)
    if "classifier.weight" not in renamed:
        raise PackError("weights: no classifier.weight; the checkpoint was not fine-tuned for classification")
    return renamed


def _shape(config: dict[str, Any], weights: dict[str, Tensor]) -> BertShape:
    names = config.get("id2label") or {"0": NEGATIVE_NAMES[0]}
    if names.get("0") not in NEGATIVE_NAMES:
        raise PackError(
            f"config.json: label 0 is {names.get('0')!r}, expected one of {', '.join(NEGATIVE_NAMES)}"
        )
    labels = len(weights["classifier.weight"])
    if labels != 2:  # noqa: PLR2004  binary
        raise PackError(f"weights: classifier has {labels} labels, expected 2 (negative, positive)")
    vocabulary, width = weights["bert." + EMBEDDINGS_KEY].shape
    return BertShape(
        vocabulary=vocabulary,
        positions=len(weights["bert.embeddings.position_embeddings.weight"]),
        width=width,
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        intermediate=config["intermediate_size"],
        token_types=len(weights["bert.embeddings.token_type_embeddings.weight"]),
        norm_epsilon=config.get("layer_norm_eps", 1e-12),
    )
