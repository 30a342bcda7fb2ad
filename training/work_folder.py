"""The folder of a run: its state, so that an interrupted run goes on, and what it found out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import SentiqError
from worker.evaluate.spreadsheets import spreadsheet

_INPUTS, _LOCK = "inputs.json", "lock"
# What runs write. A folder may have other files, which are not theirs to delete.
_RESULTS = ("*.pt", "*.npy", "*.partial", "source", "pack", "doubtful.csv", "figures.json", "labels.json")


class WorkFolderError(SentiqError):
    """The folder of a run cannot be used, or what is in it cannot be read."""

    code = "bad_work_folder"


def folder_of(out: Path) -> Path:
    """Return where the folder `OUT.work` is. Raises WorkFolderError for an `out` that names no directory."""
    if out.name in ("", ".."):
        raise WorkFolderError(f"--out {out}: expected the name of a directory, such as models/mine")
    if out.exists() and not out.is_dir():
        raise WorkFolderError(f"--out {out}: is a file, expected a directory")
    return out.with_name(f"{out.name}.work")


def require_outside(folder: Path, paths: Iterable[Path]) -> None:
    """Raise WorkFolderError if one of the paths that a run reads lies in the folder that it writes."""
    for path in paths:
        if path.expanduser().resolve().is_relative_to(folder.resolve()):
            raise WorkFolderError(f"{path}: lies in {folder}, which the run writes; name another --out")


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other runs from `OUT.work` until the block ends. Raises WorkFolderError if one has it."""
    folder = folder_of(out)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkFolderError(f"{folder}: in use by another run with --out {out}") from error
        yield


def work_folder(out: Path, inputs: Mapping[str, Any]) -> Path:
    """Return the folder `OUT.work`, without state and results of a run that had other inputs (any JSON)."""
    folder = folder_of(out)
    folder.mkdir(parents=True, exist_ok=True)
    if _read(folder / _INPUTS) != json.loads(_json(inputs)):
        _clear(folder)
        write_json(folder / _INPUTS, inputs)
    return folder


def inputs_of(out: Path) -> Mapping[str, Any]:
    """Return the inputs of the run that wrote to `out`. Raises WorkFolderError without them."""
    path = folder_of(out) / _INPUTS
    inputs = _read(path)
    if not isinstance(inputs, dict):
        raise WorkFolderError(f"{path}: missing or damaged, expected the inputs of the run that wrote {out}")
    return inputs


def _read(path: Path) -> Any:
    """Return what a JSON file says; None for one that is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _clear(folder: Path) -> None:
    for path in [path for pattern in _RESULTS for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(_json(value), "utf-8")
    partial.replace(path)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file that spreadsheets open, whole or not at all."""
    with spreadsheet(path) as write:
        write(header)
        for row in rows:
            write(row)
