"""Read a source: a checkpoint directory in the StructBERT layout of ModelScope or Hugging Face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.vocabulary.labels import MAX_LABELS, MIN_LABELS
from worker.engines.bert import BertClassifier, BertShape
from worker.packing.checkpoint import read_settings, read_weights
from worker.packs.pack import PackError
from worker.scoring.tokenizer import load_tokenizer

EMBEDDINGS_KEY = "embeddings.word_embeddings.weight"
MODEL_TYPES = ("structbert", "sbert", "bert")
CODE_KEYS = ("allow_remote", "plugins", "auto_map")
MAX_PADDING = 128  # checkpoints round the rows of their embeddings up to a multiple of at most this


@dataclass(frozen=True)
class Source:
    """A checkpoint with the parameter names of `BertClassifier`, in fp32."""

    weights: dict[str, Tensor]
    shape: BertShape
    vocabulary: Path


def read_source(directory: Path) -> Source:
    """Return the checked source in `directory`. Raises PackError with the file and the cause."""
    if not (directory / "vocab.txt").is_file():
        raise PackError(f"vocab.txt: missing from {directory}")
    modelscope, config = (read_settings(directory / name) for name in ("configuration.json", "config.json"))
    for name, settings in {"configuration.json": modelscope, "config.json": config}.items():
        _refuse_code(name, settings)
    config = config or _backbone(directory, modelscope)
    _refuse_other_models(directory, config)
    weights = _rename(read_weights(directory))
    shape = _shape(config, weights)
    _check_complete(weights, shape)
    _check_vocabulary(directory / "vocab.txt", shape)
    return Source(weights, shape, directory / "vocab.txt")


def _refuse_code(name: str, settings: dict[str, Any]) -> None:
    """Raise PackError when a setting asks the reader to run code or to install packages."""
    for key in CODE_KEYS:
        if settings.get(key):
            raise PackError(f"{name}: sets {key}, and code of a source is never run")


def _backbone(directory: Path, modelscope: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the encoder, which ModelScope may store in configuration.json."""
    model = modelscope.get("model")
    backbone = model.get("backbone") if isinstance(model, dict) else None
    if not isinstance(backbone, dict):
        raise PackError(
            f"config.json: missing from {directory}, and configuration.json has no model.backbone"
        )
    return backbone


def _refuse_other_models(directory: Path, config: dict[str, Any]) -> None:
    """Raise PackError for a model that is stored like StructBERT but computes something else."""
    tokenizer = read_settings(directory / "tokenizer_config.json")
    for name, settings, key, accepted in (
        ("config.json", config, "model_type", MODEL_TYPES),
        ("config.json", config, "hidden_act", ("gelu",)),
        ("config.json", config, "position_embedding_type", ("absolute",)),
        ("tokenizer_config.json", tokenizer, "do_lower_case", (True,)),
    ):
        if settings.get(key, accepted[0]) not in accepted:
            expected = " or ".join(map(str, accepted))
            raise PackError(f"{name}: {key} is {settings[key]!r}, expected {expected}")


def _rename(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with the names of `BertClassifier`, without the heads of other tasks."""
    prefix = next((key.removesuffix(EMBEDDINGS_KEY) for key in weights if key.endswith(EMBEDDINGS_KEY)), None)
    if prefix is None:
        raise PackError(f"weights: no key ends in {EMBEDDINGS_KEY}; not a BERT checkpoint")
    renamed = {}
    for key, value in weights.items():
        if key.removeprefix("head.") in ("classifier.weight", "classifier.bias"):
            renamed[key.removeprefix("head.")] = value.float()
        elif key.removeprefix(prefix).startswith(("embeddings.", "encoder.", "pooler.")):
            plain = key.removeprefix(prefix).replace(".gamma", ".weight").replace(".beta", ".bias")
            renamed["bert." + plain] = value.float()
    renamed.pop("bert.embeddings.position_ids", None)
    if "classifier.weight" not in renamed:
        raise PackError("weights: no classifier.weight; the checkpoint is not fine-tuned for classification")
    return renamed


def _shape(config: dict[str, Any], weights: dict[str, Tensor]) -> BertShape:
    labels = len(weights["classifier.weight"])
    if not MIN_LABELS <= labels <= MAX_LABELS:
        raise PackError(f"weights: classifier has {labels} labels, expected {MIN_LABELS} to {MAX_LABELS}")
    try:
        vocabulary, width = weights["bert." + EMBEDDINGS_KEY].shape
        shape = BertShape(
            vocabulary=vocabulary,
            positions=len(weights["bert.embeddings.position_embeddings.weight"]),
            width=width,
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            intermediate=int(config["intermediate_size"]),
            labels=labels,
            token_types=len(weights["bert.embeddings.token_type_embeddings.weight"]),
            norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
    except KeyError as error:
        where = "weights" if "embeddings" in str(error) else "config.json"
        raise PackError(f"{where}: {error} is missing") from error
    if width % shape.heads:
        raise PackError(f"config.json: {shape.heads} attention heads do not divide a width of {width}")
    return shape


def _check_complete(weights: dict[str, Tensor], shape: BertShape) -> None:
    with torch.device("meta"):
        expected = BertClassifier(shape).state_dict()
    for name, value in expected.items():
        if name not in weights:
            raise PackError(f"weights: {name} is missing; config.json has {shape.layers} layers")
        if weights[name].shape != value.shape:
            actual, wanted = tuple(weights[name].shape), tuple(value.shape)
            raise PackError(f"weights: {name} has the shape {actual}, expected {wanted}")
    for name in weights.keys() - expected.keys():
        raise PackError(f"weights: {name} is not part of a BERT of {shape.layers} layers")


def _check_vocabulary(path: Path, shape: BertShape) -> None:
    try:
        load_tokenizer(path)
    except ValueError as error:
        raise PackError(str(error)) from error
    size = len(path.read_text("utf-8").rstrip("\n").split("\n"))
    if not shape.vocabulary - MAX_PADDING < size <= shape.vocabulary:
        raise PackError(f"vocab.txt: has {size} tokens, the weights have {shape.vocabulary}")
