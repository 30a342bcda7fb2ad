"""A checkpoint with the shape of StructBERT-base, written without torch, which may not be installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WIDTH, LAYERS, HEADS, INNER, POSITIONS = 768, 12, 12, 3072, 512
CONFIG = {
    "model_type": "structbert",
    "hidden_act": "gelu",
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "id2label": {"0": "negative", "1": "positive"},
}
# A larger bias than random weights produce logits: int8 then gives the labels of fp32, and is served.
BIAS = 2.0

Shape = tuple[int, ...]


def write_base(directory: Path, vocabulary: Path) -> Path:
    """Write random weights for this vocabulary; return the directory."""
    directory.mkdir()
    shutil.copyfile(vocabulary, directory / "vocab.txt")
    (directory / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    tokens = len(vocabulary.read_text("utf-8").splitlines())
    write_safetensors(directory / "model.safetensors", dict(shapes(tokens)))
    return directory


def shapes(tokens: int) -> Iterator[tuple[str, Shape]]:
    """Yield the name and shape of every tensor."""
    for name, rows in (("word", tokens), ("position", POSITIONS), ("token_type", 2)):
        yield f"bert.embeddings.{name}_embeddings.weight", (rows, WIDTH)
    yield from norm("bert.embeddings")
    for number in range(LAYERS):
        layer = f"bert.encoder.layer.{number}"
        for part in ("query", "key", "value"):
            yield from dense(f"{layer}.attention.self.{part}", WIDTH, WIDTH)
        yield from dense(f"{layer}.attention.output.dense", WIDTH, WIDTH)
        yield from norm(f"{layer}.attention.output")
        yield from dense(f"{layer}.intermediate.dense", INNER, WIDTH)
        yield from dense(f"{layer}.output.dense", WIDTH, INNER)
        yield from norm(f"{layer}.output")
    yield from dense("bert.pooler.dense", WIDTH, WIDTH)
    yield from dense("classifier", 2, WIDTH)


def dense(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def norm(name: str) -> Iterator[tuple[str, Shape]]:
    for part in ("weight", "bias"):
        yield f"{name}.LayerNorm.{part}", (WIDTH,)


def write_safetensors(path: Path, tensors: dict[str, Shape]) -> None:
    """Write the format: the length of the JSON header, the header, then the tensors."""
    ends = np.cumsum([4 * np.prod(shape, dtype=int) for shape in tensors.values()]).tolist()
    tensor_offsets = zip(tensors.items(), [0, *ends], ends, strict=False)
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
            for (name, shape), begin, end in tensor_offsets
        }
    ).encode()
    rng = np.random.default_rng(5)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name, shape in tensors.items():
            file.write(values(name, shape, rng).astype("<f4").tobytes())


def values(name: str, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return weights as BERT initialises them, except for the bias of the classifier."""
    if name == "classifier.bias":
        return np.array([-BIAS, BIAS])
    if name.endswith("bias"):
        return np.zeros(shape)
    return np.ones(shape) if "LayerNorm" in name else rng.normal(0, 0.02, shape)
