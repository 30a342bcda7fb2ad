"""The reference weights of a pack: its graph was made from them; the torch engine and later checks use them.

They are stored exactly, or compactly: matrices as 8-bit rows with one fp32 scale a row, vectors as they are.
The graph is made from the weights as read back from the file, so graph and file hold the same numbers.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SCALE = ".row_scale"


class Reference(StrEnum):
    """How a pack stores its reference weights."""

    EXACT = "exact"
    COMPACT = "compact"
    NONE = "none"


def compress(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with each matrix as int8 rows, beside a tensor of row scales."""
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dim() < 2:  # noqa: PLR2004  vectors stay as they are
            packed[name] = weight.clone()
            continue
        scales = (weight.abs().amax(1) / 127).clamp(min=1e-12)
        packed[name] = (weight / scales[:, None]).round().to(torch.int8)
        packed[name + SCALE] = scales
    return packed


def decompress(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights that `compress` stored, in fp32, rounded to its 8-bit grid."""
    return {
        name: value.float() * packed[name + SCALE][:, None] if name + SCALE in packed else value
        for name, value in packed.items()
        if not name.endswith(SCALE)
    }


def write_reference(weights: dict[str, Tensor], reference: Reference, path: Path) -> dict[str, Tensor]:
    """Write the weights to `path` unless `reference` is NONE; return the weights to make the graph from."""
    if reference is Reference.NONE:
        return weights
    exact = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(compress(weights) if reference is Reference.COMPACT else exact, path)
    path.chmod(0o644)  # safetensors writes 0600, which the account of the worker could not read
    return read_reference(path)


def read_reference(path: Path) -> dict[str, Tensor]:
    """Return the weights in `path`, in fp32."""
    return decompress(load_file(path))
