"""Read texts with labels of one's own: which labels the file has, and the number of each text's label."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.labels import LABEL_ID, NEGATIVE_POSITIVE, Label, LabelSet
from worker.evaluate.labelled import (
    LABEL,
    TEXT,
    LabelledFileError,
    LabelledText,
    LabelledTexts,
    read_labelled,
)
from worker.packing.known_labels import known_labels

MIN_TEXTS = 20  # of each label: fewer cannot be divided into texts to learn from, to check and to judge by
_GIVE = "name it with --labels FILE"


@dataclass(frozen=True)
class OwnTexts:
    """Labelled texts: the rows of a file, its labels, and the number of each row's label (n,).

    `unlabelled` is the number of rows without a label, which are left out.
    """

    file: LabelledTexts
    labels: LabelSet
    numbers: NDArray[np.int64]
    unlabelled: int

    @cached_property
    def texts(self) -> list[str]:
        """Return the texts."""
        return self.file.texts

    def where(self, mask: NDArray[np.bool_]) -> LabelledTexts:
        """Return the rows for which `mask` (n,) is true, with the ids of their labels."""
        ids = self.labels.ids
        rows = [
            self.file.rows[at]._replace(label=ids[self.numbers[at]]) for at in np.flatnonzero(mask).tolist()
        ]
        return replace(self.file, rows=rows)


def read_own(path: Path, start: LabelSet | None, names: Path | None) -> OwnTexts:
    """Return the texts of a CSV file with the columns `text` and `label`. Raises LabelledFileError.

    `names` is a file that maps the labels as written to ids; without it they are names that packs know, or
    ids, and 0 and 1 alone are negative and positive. The labels are those of the start if they have the same
    ids, else in alphabetical order, or in the order of `names`. Rows with an empty label are left out.
    """
    file = read_labelled(path)
    rows = [row for row in file.rows if row.label]
    for row in rows:
        if not row.text.strip():
            raise LabelledFileError(f"{path}: line {row.line}, column {TEXT}: empty")
    known = _read_names(names) if names else _known(path, rows)
    for row in rows:
        if row.label not in known:
            where = f"{path}: line {row.line}, column {LABEL}"
            raise LabelledFileError(f"{where}: {row.label[:40]!r} is not in {names}")
    labels = _label_set(names or path, list(known.values()), start)
    numbers = [labels.ids.index(known[row.label].id) for row in rows]
    return OwnTexts(replace(file, rows=rows), labels, np.array(numbers, np.int64), len(file.rows) - len(rows))


def require_enough(own: OwnTexts, groups: NDArray[np.int64]) -> None:
    """Raise LabelledFileError unless each label has MIN_TEXTS texts that are no near copies.

    `groups` (n,) are those of near copies.
    """
    for number, label_id in enumerate(own.labels.ids):
        of_label = own.numbers == number
        different = len(np.unique(groups[of_label]))
        if different < MIN_TEXTS:
            found = f"{int(of_label.sum())} rows with {different} different texts (near copies are one)"
            raise LabelledFileError(
                f"{own.file.path}: label {label_id}: {found}, expected at least {MIN_TEXTS}"
            )


def _known(path: Path, rows: Sequence[LabelledText]) -> Mapping[str, Label]:
    """Return the label of each name in the rows."""
    first = {row.label: row for row in reversed(rows)}
    names = sorted(first)
    if names == ["0", "1"]:
        return dict(zip(names, NEGATIVE_POSITIVE, strict=True))
    labels = dict(zip(names, known_labels(names), strict=True))
    # Those in lower case last: the others are then named beside them.
    spelt = {name.lower(): first[name] for name in names if not labels[name]}
    return {name: label or _plain(path, first[name], spelt[name.lower()]) for name, label in labels.items()}


def _plain(path: Path, row: LabelledText, lower: LabelledText) -> Label:
    where = f"{path}: line {row.line}, column {LABEL}: {row.label[:40]!r}"
    if row.label != lower.label:
        other = f"{lower.label[:40]!r} of line {lower.line}"
        raise LabelledFileError(f"{where} and {other} differ by case only; write one of them")
    if row.label.isdigit():
        raise LabelledFileError(f"{where} is only a number; {_GIVE}")
    if not LABEL_ID.fullmatch(row.label):
        raise LabelledFileError(f"{where} is no label id, 1 to 32 of a-z, 0-9 and _; {_GIVE}")
    return Label(row.label, row.label, row.label)


def _read_names(path: Path) -> Mapping[str, Label]:
    """Return the label of each name in a JSON file: an id, or a label as in `pack.json`."""
    expected = f"{path}: expected a JSON object from names to ids or labels"
    try:
        given = json.loads(path.read_text("utf-8"))
        plain = [value for value in given.values() if isinstance(value, str)]
        known = dict(zip(plain, known_labels(plain), strict=True))
        return {
            name: (known[value] or Label(value, value, value)) if isinstance(value, str) else Label(**value)
            for name, value in given.items()
        }
    except OSError as error:
        raise LabelledFileError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LabelledFileError(f"{expected} ({error})") from error


def _label_set(path: Path, labels: Sequence[Label], start: LabelSet | None) -> LabelSet:
    by_id = {label.id: label for label in labels}
    if start and by_id.keys() == set(start.ids):
        return start
    try:
        found = LabelSet(tuple(by_id.values()))
    except ValueError as error:
        raise LabelledFileError(f"{path}: {error}") from error
    _require_different_names(path, found)
    return found


def _require_different_names(path: Path, labels: LabelSet) -> None:
    """Raise LabelledFileError if a name, in upper or lower case, stands for two labels."""
    owner: dict[str, str] = {}
    for label in labels:
        for name in (label.id, label.label_en.lower(), label.label_zh.lower()):
            other = owner.setdefault(name, label.id)
            if other != label.id:
                cause = f"labels {other} and {label.id} are both named {name!r}"
                raise LabelledFileError(f"{path}: {cause}, in upper or lower case")
