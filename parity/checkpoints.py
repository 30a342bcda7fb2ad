"""Write checkpoints for the comparison, in the layouts of ModelScope and of older BERT checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from parity.texts import shipped_texts
from worker.engines.bert import BertClassifier, BertShape
from worker.scoring.batches import segment_ids
from worker.scoring.tokenizer import CLS, MASK, PAD, SEP, UNKNOWN

BASE = BertShape(vocabulary=21128, positions=512, width=768, layers=12, heads=12, intermediate=3072)
TINY = BertShape(vocabulary=21128, positions=512, width=256, layers=4, heads=4, intermediate=1024)
LARGE = BertShape(vocabulary=21128, positions=512, width=1024, layers=24, heads=16, intermediate=4096)
# Label names by their number, as ModelScope's classifiers have them.
NAMES = {
    2: ("负面", "正面"),
    3: ("负面", "中性", "正面"),
    7: ("恐惧", "愤怒", "厌恶", "喜好", "悲伤", "高兴", "惊讶"),
}
# Standard deviation of the difference between the logits of two neighbours among the labels. With two labels
# most probabilities lie between 0.02 and 0.98.
_LOGIT_DEVIATION = 2.0
_ASPECT_CHARACTERS = 4  # in pairs, of _ROW_CHARACTERS
_ROWS, _ROW_CHARACTERS = 64, 28  # the sample over which the logits have that deviation

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """The tensor names and the file format of a checkpoint, and whether it reads pairs."""

    prefix: str = "bert."
    head: str = "classifier."
    old: bool = False  # gamma and beta for layer norms, and position_ids
    safetensors: bool = False
    pairs: bool = False


LAYOUTS = {
    "bert. + classifier.": Layout(),
    "encoder. + head.classifier.": Layout("encoder.", "head.classifier."),
    "no prefix": Layout(""),
    "gamma, beta, position_ids": Layout(old=True),
    "safetensors": Layout(safetensors=True),
}


def random_checkpoint(directory: Path, shape: BertShape, layout: Layout, seed: int) -> Path:
    """Write random weights with a vocabulary that covers the shipped texts. Return `directory`."""
    texts = shipped_texts()
    tokens = vocabulary(shape.vocabulary, sorted(set("".join(texts))))
    weights = random_weights(shape, _rows(tokens, texts, pairs=layout.pairs), seed)
    return write_checkpoint(directory, shape, weights, tokens, layout)


def random_weights(shape: BertShape, rows: Sequence[Tensor], seed: int) -> Weights:
    """Return random weights with a classifier that is scaled to spread the verdicts like a trained one.

    `rows` are the inputs of a model, texts by which it is scaled.
    """
    torch.manual_seed(seed)
    model = BertClassifier(shape).eval()
    with torch.inference_mode():
        for name, value in model.named_parameters():
            if "LayerNorm" in name:
                value.add_(torch.randn_like(value) * 0.1)
        pooled = torch.tanh(model.bert.pooler["dense"](model.bert(*rows)[:, 0]))
        # The directions of largest variance; others would need a factor that magnifies rounding errors.
        directions = torch.linalg.svd(pooled - pooled.mean(0), full_matrices=False)[2][:2]
        directions /= (pooled @ directions.T).std(0)[:, None]
        weight = _circle(shape.labels) @ directions
        model.classifier.weight.copy_(weight)
        model.classifier.bias.copy_(-weight @ pooled.mean(0))
    return {name: value.clone() for name, value in model.state_dict().items()}


def _circle(labels: int) -> Tensor:
    """Return points (labels, 2) on a circle: each is the farthest in its own direction."""
    angles = 2 * math.pi * torch.arange(labels) / labels
    radius = _LOGIT_DEVIATION / 2 / math.sin(math.pi / labels)
    return radius * torch.stack([angles.cos(), angles.sin()], 1)


def vocabulary(size: int, characters: Sequence[str]) -> list[str]:
    """Return `size` tokens in the order of Chinese BERT: special and unused, characters, continuations."""
    latin = [chr(point) for point in range(0x21, 0x7F) if not chr(point).isupper()]
    pairs = [first + second for first in latin if first.isalpha() for second in "aeioutnrs"]
    others = [
        chr(point) for start, end in ((0x3000, 0x3100), (0xFF01, 0xFF5F)) for point in range(start, end)
    ]
    han = [chr(point) for point in range(0x4E00, 0xA000)]
    known = dict.fromkeys([*latin, *characters, *pairs, *others, *han])
    special = [PAD, *(f"[unused{number}]" for number in range(1, 100)), UNKNOWN, CLS, SEP, MASK]
    words = [*known][: (size - len(special)) // 2]
    return [*special, *words, *("##" + word for word in words)]


def write_checkpoint(
    directory: Path, shape: BertShape, weights: Weights, tokens: Sequence[str], layout: Layout
) -> Path:
    """Write a checkpoint that ModelScope's pipeline loads. Return `directory`."""
    directory.mkdir(parents=True)
    renamed = {_name(name, layout): value for name, value in weights.items()}
    if layout.old:
        renamed[layout.prefix + "embeddings.position_ids"] = torch.arange(shape.positions)[None]
    if layout.safetensors:
        save_file(renamed, directory / "model.safetensors", {"format": "pt"})
    else:
        torch.save(renamed, directory / "pytorch_model.bin")
    (directory / "vocab.txt").write_text("".join(token + "\n" for token in tokens), "utf-8")
    _write_json(directory / "config.json", _config(shape))
    _write_json(directory / "configuration.json", _configuration(shape, layout))
    names = NAMES[shape.labels]
    _write_json(directory / "label_mapping.json", {name: number for number, name in enumerate(names)})
    return directory


def _rows(tokens: Sequence[str], texts: Sequence[str], *, pairs: bool) -> list[Tensor]:
    """Return a model's inputs (n, length) of the first characters of longer texts, one token a character."""
    numbers = {token: number for number, token in enumerate(tokens)}
    long = [text[:_ROW_CHARACTERS] for text in texts if len(text) >= _ROW_CHARACTERS][:_ROWS]
    rows = [[numbers[CLS], *(numbers.get(each, 0) for each in text), numbers[SEP]] for text in long]
    if pairs:
        rows = [[*row[: _ASPECT_CHARACTERS + 1], row[-1], *row[_ASPECT_CHARACTERS + 1 :]] for row in rows]
    ids = np.array(rows)
    mask = np.ones_like(ids)
    inputs = [ids, mask, *([segment_ids(ids, mask, numbers[SEP])] if pairs else [])]
    return [torch.from_numpy(each) for each in inputs]


def _name(name: str, layout: Layout) -> str:
    renamed = name.replace("bert.", layout.prefix, 1) if name.startswith("bert.") else name
    renamed = renamed.replace("classifier.", layout.head) if name.startswith("classifier.") else renamed
    if layout.old and "LayerNorm" in name:
        renamed = renamed.replace(".weight", ".gamma").replace(".bias", ".beta")
    return renamed


def _config(shape: BertShape) -> dict[str, Any]:
    """Return the content of `config.json`."""
    return {
        "model_type": "structbert",
        "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions,
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": shape.norm_epsilon,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }


def _configuration(shape: BertShape, layout: Layout) -> dict[str, Any]:
    """Return the content of ModelScope's `configuration.json`: one model, or a backbone with a head."""
    parts = {
        "type": "text-classification",
        "backbone": _config(shape) | {"type": "structbert", "prefix": "encoder"},
        "head": {"type": "text-classification", "hidden_size": shape.width, "hidden_dropout_prob": 0.1},
    }
    texts = {
        "task": "text-classification",
        "preprocessor": {"type": "sen-cls-tokenizer", "first_sequence": "sentence"},
        "pipeline": {"type": "sentiment-classification"},
    }
    sequences = {"first_sequence": "sentence1", "second_sequence": "sentence2"}
    pairs = {
        "task": "nli",
        "preprocessor": {"type": "nli-tokenizer", **sequences},
        "pipeline": {"type": "nli"},
    }
    model = parts if layout.head.startswith("head.") else {"type": "structbert"}
    return {"framework": "pytorch", "model": model, **(pairs if layout.pairs else texts)}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2), "utf-8")
