"""The written texts, and which of them no model of the project is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from worker.evaluate.labelled import LabelledFileError, read_table

FILE = Path(__file__).with_name("texts") / "written.csv"
TESTS = (FILE.with_name("written-test.csv"),)
NEGATIVE, NEUTRAL, POSITIVE = "0", "n", "1"
# Whole writers, since many texts of one are mirror pairs, and whole domains.
_WRITERS = {"5", "24"}
_DOMAINS = {"games", "fitness"}


class WrittenText(NamedTuple):
    """A text with its label: one of NEGATIVE, NEUTRAL and POSITIVE."""

    text: str
    label: str
    domain: str
    held_out: bool


def read_written(path: Path) -> list[WrittenText]:
    """Return the written texts in the order of the file. Raises LabelledFileError."""
    _, rows = read_table(path, "text", "label", "domain", "writer")
    texts = []
    for line, row in rows:
        if row["label"] not in (NEGATIVE, NEUTRAL, POSITIVE):
            expected = f"expected {NEGATIVE}, {NEUTRAL} or {POSITIVE}"
            raise LabelledFileError(f"{path}: line {line}, column label: {row['label']!r}, {expected}")
        held_out = row["writer"] in _WRITERS or row["domain"] in _DOMAINS
        texts.append(WrittenText(row["text"], row["label"], row["domain"], held_out))
    return texts
