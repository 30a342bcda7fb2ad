"""Read the files of a checkpoint without running any code that they may contain."""

from __future__ import annotations

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
    """Return the tensors by the checkpoint's own names.

    One safetensors file is preferred over shards, and shards over a pickle. Matrices that are stored as 8-bit
    rows (see `worker.packs.reference`) are returned in fp32. Raises PackError with the file and the cause.
    """
    if (directory / SINGLE).is_file():
        return _read_safetensors(directory / SINGLE)
    if (directory / INDEX).is_file():
        return _read_shards(directory / INDEX)
    if (directory / PICKLE).is_file():
        return _read_pickle(directory / PICKLE)
    raise PackError(f"{SINGLE}, {INDEX}, {PICKLE}: all missing from {directory}")


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a JSON file; empty when it does not exist. Raises PackError."""
    try:
        settings = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise PackError(f"{path.name}: not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise PackError(f"{path.name}: not a JSON object")
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
        raise PackError(f"{index.name}: no readable weight_map ({error!r})") from error
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
        raise PackError(f"{path.name}: contains code, which is never run ({cause})") from error
    except (RuntimeError, EOFError, OSError) as error:
        raise PackError(f"{path.name}: cannot be read ({error})") from error
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise PackError(f"{path.name}: not a mapping of names to tensors")
    return weights
