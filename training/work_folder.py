"""The folder of a run: its state, so that an interrupted run goes on, and what it found out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.cells import defused

_INPUTS = "inputs.json"


def work_folder(out: Path, inputs: Mapping[str, Any]) -> Path:
    """Return the folder `OUT.work`, without the state of a run that had other inputs (any JSON)."""
    folder = _folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    path, described = folder / _INPUTS, json.dumps(inputs, ensure_ascii=False, indent=2)
    if not path.exists() or path.read_text("utf-8") != described:
        for state in folder.glob("*.pt"):
            state.unlink()
        path.write_text(described, "utf-8")
    return folder


def inputs_of(out: Path) -> Mapping[str, Any]:
    """Return the inputs of the last run that wrote to `out`. Raises OSError without one."""
    inputs: Mapping[str, Any] = json.loads((_folder(out) / _INPUTS).read_text("utf-8"))
    return inputs


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.work")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
    partial.replace(path)


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file that spreadsheets open: with a byte order mark, and no cell that is a formula."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([defused(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
