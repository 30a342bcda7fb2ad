"""Check the label names of a source, which are read where ModelScope reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.packing.checkpoint import read_settings
from worker.packs.pack import PackError

# Accepted names of each label, in lower case.
NAMES = (
    ("negative", "neg", "label_0", "0", "负面", "负向", "消极", "差评"),
    ("positive", "pos", "label_1", "1", "正面", "正向", "积极", "好评"),
)


def check_labels(directory: Path, modelscope: dict[str, Any], config: dict[str, Any]) -> None:
    """Raise PackError, naming the file, unless the labels are (negative, positive).

    A source without label names is assumed to have these.
    """
    for file, settings in _mappings(directory, modelscope, config):
        names = _by_number(file, settings)
        if names is not None:
            return _check(file, names)
    return None


def _mappings(
    directory: Path, modelscope: dict[str, Any], config: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each file that may map labels with its settings, in ModelScope's order of precedence."""
    path = directory / "label_mapping.json"
    if path.is_file():
        yield path.name, {"label2id": read_settings(path)}
    yield "configuration.json", modelscope.get("model", {})
    yield "configuration.json", modelscope.get("preprocessor", {})
    yield "config.json", config


def _by_number(file: str, settings: Any) -> dict[int, str] | None:
    """Return the label names by number; None without a mapping."""
    try:
        if settings.get("label2id"):
            return {int(number): name for name, number in settings["label2id"].items()}
        if settings.get("id2label"):
            return {int(number): name for number, name in settings["id2label"].items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PackError(f"{file}: label2id or id2label is malformed ({error})") from error
    return None


def _check(file: str, names: dict[int, str]) -> None:
    if len(names) != len(NAMES):
        raise PackError(f"{file}: has {len(names)} labels, expected 2 (negative, positive)")
    for number, accepted in enumerate(NAMES):
        if str(names.get(number)).lower() not in accepted:
            expected = ", ".join(accepted)
            raise PackError(f"{file}: label {number} is {names.get(number)!r}, expected one of {expected}")
