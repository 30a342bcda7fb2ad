"""Files of state: written whole or not at all, and read with an error that says what to do."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from tasks.errors import SentiqError

_Result = TypeVar("_Result")
# What torch raises for a damaged file, and what reading another state raises.
_MISFITS = (
    pickle.UnpicklingError,
    EOFError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
)


class StateError(SentiqError):
    """A file of state cannot be gone on with: it is damaged, or of another version or model."""

    code = "bad_state"


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state."""
    partial = path.with_suffix(".partial")
    torch.save(dict(state), partial)
    partial.replace(path)


def load_state(path: Path, device: str, restore: Callable[[Any], _Result]) -> _Result:
    """Return what `restore` makes of the state in a file. Raises StateError for one that does not fit."""
    try:
        return restore(torch.load(path, weights_only=True, map_location=device))
    except _MISFITS as error:
        cause = f"{type(error).__name__}: {error}".partition("\n")[0]
        hint = f"delete the .pt files in {path.parent} to start anew"
        raise StateError(f"{path}: damaged, or of another version or model ({cause}); {hint}") from error
