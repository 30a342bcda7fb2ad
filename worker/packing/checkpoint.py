"""The files of a checkpoint, read without running anything that such a file may hold."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from worker.packs.pack import PackError
from worker.packs.reference import decompress

SINGLE, INDEX, PICKLE = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"


def read_weights(directory: Path) -> dict[str, Tensor]:
    """Tensors by the checkpoint's own names, from safetensors (one file or shards) before a pickle.

    Matrices that are kept as 8-bit rows (see `worker.packing.reference`) come in fp32.

    Raises PackError naming the file and the cause.
    """
    if (directory / SINGLE).is_file():
        return _read_safetensors(directory / SINGLE)
    if (directory / INDEX).is_file():
        return _read_shards(directory / INDEX)
    if (directory / PICKLE).is_file():
        return _read_pickle(directory / PICKLE)
    raise PackError(f"{SINGLE}, {INDEX}, {PICKLE}: none of them is in {directory}")


def read_settings(path: Path) -> dict[str, Any]:
    """The settings of a JSON file, none when it is not there. Raises PackError."""
    try:
        settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise PackError(f"{path.name}: is not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise PackError(f"{path.name}: is not a JSON object")
    return settings


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return decompress(load_file(path))
    except (SafetensorError, OSError) as error:
        raise PackError(f"{path.name}: cannot be read ({error})") from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PackError(f"{index.name}: has no readable weight_map ({error!r})") from error
    weights: dict[str, Tensor] = {}
    for name in names:
        if Path(name).name != name:
            raise PackError(f"{index.name}: shard {name!r} lies outside the directory")
        weights |= _read_safetensors(index.with_name(name))
    return weights


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        weights = torch.load(path, "cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        cause = str(error).partition("\n")[0]
        raise PackError(
            f"{path.name}: holds more than tensors, and such code is never run ({cause})"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise PackError(f"{path.name}: cannot be read ({error})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise PackError(f"{path.name}: is not a mapping of names to tensors")
    return weights
