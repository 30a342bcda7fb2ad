"""What a source calls its two labels, read where ModelScope reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worker.packing.checkpoint import read_settings
from worker.packs.pack import LABELS, PackError

# In lower case, by label.
NAMES = (
    ("negative", "neg", "label_0", "0", "负面", "负向", "消极", "差评"),
    ("positive", "pos", "label_1", "1", "正面", "正向", "积极", "好评"),
)


def check_labels(directory: Path, modelscope: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse a source whose labels are not (negative, positive); one that names none is taken to have these.

    Raises PackError naming the file that says otherwise.
    """
    for file, settings in _places(directory, modelscope, config):
        names = _by_number(file, settings)
        if names is not None:
            return _check(file, names)
    return None


def _places(
    directory: Path, modelscope: dict[str, Any], config: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where a mapping may be, in the order in which ModelScope looks for one."""
    path = directory / "label_mapping.json"
    if path.is_file():
        yield path.name, {"label2id": read_settings(path)}
    yield "configuration.json", modelscope.get("model", {})
    yield "configuration.json", modelscope.get("preprocessor", {})
    yield "config.json", config


def _by_number(file: str, settings: Any) -> dict[int, str] | None:
    try:
        if settings.get("label2id"):
            return {int(number): name for name, number in settings["label2id"].items()}
        if settings.get("id2label"):
            return {int(number): name for number, name in settings["id2label"].items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PackError(f"{file}: label2id or id2label is malformed ({error})") from error
    return None


def _check(file: str, names: dict[int, str]) -> None:
    if len(names) != len(LABELS):
        raise PackError(f"{file}: has {len(names)} labels, expected 2 (negative, positive)")
    for number, accepted in enumerate(NAMES):
        if str(names.get(number)).lower() not in accepted:
            expected = ", ".join(accepted)
            raise PackError(f"{file}: label {number} is {names.get(number)!r}, expected one of {expected}")
