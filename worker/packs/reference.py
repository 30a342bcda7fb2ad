"""Reference weights of a pack: what its graph was made from, for the torch engine and for later checks.

Kept exactly, or compactly: matrices as 8-bit rows with one fp32 scale a row, everything else as it is. The
graph is made from the very weights that the file gives back.
"""

from enum import StrEnum
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SCALE = ".row_scale"


class Reference(StrEnum):
    """How a pack keeps its reference weights."""

    EXACT = "exact"
    COMPACT = "compact"
    NONE = "none"


def compress(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices to int8 rows beside their scales."""
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
    """What `compress` took, on its 8-bit grid, in fp32."""
    return {
        name: value.float() * packed[name + SCALE][:, None] if name + SCALE in packed else value
        for name, value in packed.items()
        if not name.endswith(SCALE)
    }


def write_reference(weights: dict[str, Tensor], reference: Reference, path: Path) -> dict[str, Tensor]:
    """Keep the weights in `path` unless nothing is to be kept; return those that a graph is to be made of."""
    if reference is Reference.NONE:
        return weights
    exact = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(compress(weights) if reference is Reference.COMPACT else exact, path)
    path.chmod(0o644)  # safetensors would keep it from the account that serves it
    return read_reference(path)


def read_reference(path: Path) -> dict[str, Tensor]:
    """Load the weights, in fp32."""
    return decompress(load_file(path))
