"""Read the labels of a source where ModelScope reads them, and what it classifies: a text or a pair."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tasks.vocabulary.labels import LABEL_ID, Label, LabelSet
from worker.packing.checkpoint import read_settings
from worker.packing.known_labels import known_labels
from worker.packs.pack import Input, PackError

MAPPING, MODELSCOPE, CONFIG = "label_mapping.json", "configuration.json", "config.json"
_GIVE = "name the labels with --labels FILE, with LABELS=FILE of make up"
# Names that only count the labels, such as transformers writes when it is given none.
_NUMBERED = re.compile(r"(label[ _-]?)?\d+", re.IGNORECASE)
_PAIR_TASKS = ("nli", "sentence-similarity")
_PAIR_TOKENIZERS = ("nli-tokenizer", "sen-sim-tokenizer")


def read_labels(directory: Path, count: int, file: Path | None = None) -> LabelSet:
    """Return the labels of the source in `directory`, which has `count` logits, in the order of its logits.

    `file` holds the labels as `pack.json` does, and is read instead. Raises PackError with the file.
    """
    name, labels = (file.name, _read_file(file)) if file else _read_source(directory)
    if len(labels) != count:
        raise PackError(f"{name}: has {len(labels)} labels, and the classifier has {count}")
    return labels


def read_input(directory: Path) -> Input:
    """Return what the source reads: `pair` if ModelScope's settings name two sequences, else `text`."""
    settings = read_settings(directory / MODELSCOPE)
    preprocessor = settings.get("preprocessor")
    parts = [preprocessor, *preprocessor.values()] if isinstance(preprocessor, dict) else []
    pair = settings.get("task") in _PAIR_TASKS or any(
        part.get("second_sequence") or part.get("type") in _PAIR_TOKENIZERS
        for part in parts
        if isinstance(part, dict)
    )
    return "pair" if pair else "text"


def _read_file(path: Path) -> LabelSet:
    try:
        return LabelSet.read(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PackError(f"{path.name}: expected a JSON list of labels as in pack.json ({error})") from error


def _read_source(directory: Path) -> tuple[str, LabelSet]:
    """Return the labels with the name of the file that names them."""
    for file, settings in _mappings(directory):
        names = _in_order(file, settings)
        if names is not None:
            return file, _label_set(file, names)
    raise PackError(f"{MAPPING}, {MODELSCOPE}, {CONFIG}: none of them names labels; {_GIVE}")


def _mappings(directory: Path) -> Iterator[tuple[str, Any]]:
    """Yield each file that may map labels with its settings, in ModelScope's order of precedence."""
    if (directory / MAPPING).is_file():
        yield MAPPING, {"label2id": read_settings(directory / MAPPING)}
    modelscope = read_settings(directory / MODELSCOPE)
    yield MODELSCOPE, modelscope.get("model", {})
    yield MODELSCOPE, modelscope.get("preprocessor", {})
    yield CONFIG, read_settings(directory / CONFIG)


def _in_order(file: str, settings: Any) -> list[str] | None:
    """Return the label names in the order of their numbers, which start at 0; None without a mapping."""
    try:
        by_name, by_number = (settings.get(key) or {} for key in ("label2id", "id2label"))
        pairs = [(int(number), str(name)) for name, number in by_name.items()]
        pairs = pairs or [(int(number), str(name)) for number, name in by_number.items()]
    except (ValueError, TypeError, AttributeError) as error:
        raise PackError(f"{file}: label2id or id2label is malformed ({error})") from error
    names = [name for _, name in sorted(pairs)]
    if sorted(number for number, _ in pairs) != list(range(len(pairs))):
        raise PackError(f"{file}: the labels are not numbered from 0 without gaps: {pairs!r:.200}")
    return names or None


def _label_set(file: str, names: Sequence[str]) -> LabelSet:
    for number, name in enumerate(names):
        if _NUMBERED.fullmatch(name.strip()):
            raise PackError(f"{file}: label {number} is only called {name!r}; {_GIVE}")
    labels = [
        known or _plain_label(file, name) for name, known in zip(names, known_labels(names), strict=True)
    ]
    try:
        return LabelSet(tuple(labels))
    except ValueError as error:
        raise PackError(f"{file}: {error}; {_GIVE}") from error


def _plain_label(file: str, name: str) -> Label:
    """Return a label without polarity whose id is its name in lower case, with _ for all but letters."""
    label_id = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") if name.isascii() else ""
    if not LABEL_ID.fullmatch(label_id):
        raise PackError(f"{file}: no id is known for label {name!r:.60}; {_GIVE}")
    try:
        return Label(label_id, name, name)
    except ValueError as error:
        raise PackError(f"{file}: {error}; {_GIVE}") from error
