"""Tiny checkpoints in every layout, with random weights that are scaled so that verdicts differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from worker.engines.bert import BertClassifier, BertShape
from worker.scoring.tokenizer import SPECIAL_TOKENS

TEXTS = ["这家店很好", "太差了", "还可以吧", "味道不错但是太贵", "物流快"] * 4
PIECES = [*SPECIAL_TOKENS, *sorted(set("".join(TEXTS)))]
SHAPE = BertShape(vocabulary=len(PIECES), positions=32, width=32, layers=2, heads=2, intermediate=64)
CONFIG = {
    "model_type": "structbert",
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "id2label": {"0": "negative", "1": "positive"},
}


def weights(prefix: str = "bert.", head: str = "classifier.", shape: BertShape = SHAPE) -> dict[str, Tensor]:
    """Return the same random weights under any prefixes, with the position ids of older checkpoints."""
    torch.manual_seed(3)
    renamed = {prefix + "embeddings.position_ids": torch.arange(shape.positions)[None]}
    for name, value in BertClassifier(shape).state_dict().items():
        new = name.replace("bert.", prefix, 1) if name.startswith("bert.") else head + name.split(".")[1]
        renamed[new] = value * 2
    return renamed


def write_source(directory: Path, tensors: Mapping[str, Tensor] | None = None, **config: Any) -> Path:
    """Write a complete directory: weights, config.json and vocab.txt."""
    directory.mkdir(parents=True)
    save_file(dict(tensors or weights()), directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(CONFIG | config), "utf-8")
    (directory / "vocab.txt").write_text("\n".join(PIECES) + "\n", "utf-8")
    return directory


def set_json(path: Path, settings: Mapping[str, Any]) -> None:
    """Write a JSON file of the source."""
    path.write_text(json.dumps(settings, ensure_ascii=False), "utf-8")


def write_modelscope_source(directory: Path) -> Path:
    """Write a source in the layout of ModelScope's StructBERT: a backbone with a head, in a pickle."""
    tensors = weights("encoder.", "head.classifier.")
    write_source(directory, tensors)
    for name in ("config.json", "model.safetensors"):
        (directory / name).unlink()
    torch.save(tensors, directory / "pytorch_model.bin")
    backbone = CONFIG | {"type": "structbert", "prefix": "encoder"}
    model = {"type": "text-classification", "backbone": backbone, "head": {"type": "text-classification"}}
    set_json(directory / "configuration.json", {"task": "text-classification", "model": model})
    set_json(directory / "label_mapping.json", {"负面": 0, "正面": 1})
    return directory
