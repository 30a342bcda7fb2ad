"""Reference weights of a pack: matrices as 8-bit rows with one fp32 scale a row, everything else as it is.

The int8 graph is made from the very weights that this file gives back: the torch engine is its original.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

SCALE = ".row_scale"


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


def write_reference(packed: dict[str, Tensor], path: Path) -> None:
    """Save compressed weights."""
    save_file(packed, path)


def read_reference(path: Path) -> dict[str, Tensor]:
    """Load the weights, decompressed."""
    return decompress(load_file(path))
