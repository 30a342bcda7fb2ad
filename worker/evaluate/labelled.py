"""Read labelled texts from CSV files."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tasks.errors import SentiqError
from tasks.vocabulary.labels import LabelSet
from worker.packs.pack import Input

TEXT, LABEL, ASPECT = "text", "label", "aspect"
_BINARY = {"0": "negative", "1": "positive"}
# Columns that may name the domain of a text; the first that exists is used.
DOMAINS = ("source", "domain")


class LabelledFileError(SentiqError):
    """A file of labelled texts is malformed. The message names file, line, column and what was expected."""

    code = "bad_labelled_file"


class LabelledText(NamedTuple):
    """A row of a file: its text and label as written, the domain, the aspect if the file has any."""

    line: int
    text: str
    label: str
    domain: str
    aspect: str | None


@dataclass(frozen=True)
class LabelledTexts:
    """The rows of a file, in its order. `by` is the domain column."""

    path: Path
    rows: Sequence[LabelledText]
    by: str | None

    @property
    def texts(self) -> list[str]:
        """Return the texts."""
        return [row.text for row in self.rows]

    @property
    def domains(self) -> list[str]:
        """Return the domain of each text; empty strings without a domain column."""
        return [row.domain for row in self.rows]

    def inputs(self, reads: Input) -> Sequence[str | tuple[str, str]]:
        """Return what a pack reads: the texts, or the pairs of aspect and text. Raises LabelledFileError."""
        if reads == "text":
            return self.texts
        pairs = [(row.aspect, row.text) for row in self.rows if row.aspect is not None]
        if not pairs:
            raise LabelledFileError(f"{self.path}: line 1: no column {ASPECT}, and the pack reads pairs")
        return pairs

    def numbers(self, labels: LabelSet) -> list[int]:
        """Return the number of each text's label, which is written as its id, a name or its number.

        Of negative and positive alone, 0 is negative and 1 is positive. Raises LabelledFileError.
        """
        digits = _digits(labels)
        known = digits | {
            name.lower(): number
            for number, label in enumerate(labels)
            for name in (label.label_en, label.label_zh, label.id)
        }
        for row in self.rows:
            if row.label.lower() not in known:
                expected = ", ".join(f"{digit} ({labels[number].id})" for digit, number in digits.items())
                where = f"{self.path}: line {row.line}, column {LABEL}"
                raise LabelledFileError(f"{where}: {row.label[:40]!r}, expected {expected:.300} or a name")
        return [known[row.label.lower()] for row in self.rows]


def _digits(labels: LabelSet) -> dict[str, int]:
    """Return the number of each label by the digits that stand for it in a file."""
    if set(labels.ids) == set(_BINARY.values()):
        return {digit: labels.ids.index(label_id) for digit, label_id in _BINARY.items()}
    return {str(number): number for number in range(len(labels))}


def read_labelled(path: Path, by: str | None = None) -> LabelledTexts:
    """Return the texts of a CSV file, gzipped or not. Raises LabelledFileError.

    The file needs the columns `text` and `label`, and `by` if given; else one of `DOMAINS` is optional.
    """
    reader = csv.DictReader(read_lines(path), strict=True)
    try:
        by = _check_header(path, reader.fieldnames or (), by)
        rows = [_read_row(path, reader.line_num, row, by) for row in reader]
    except csv.Error as error:
        raise LabelledFileError(f"{path}: line {reader.line_num}: {error}, expected CSV") from error
    if not rows:
        raise LabelledFileError(f"{path}: line 2: missing, expected at least one row below the header")
    return LabelledTexts(path, rows, by)


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, gzipped or not, with their line ends. Raises LabelledFileError."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        raise LabelledFileError(f"{path}: line {number}: {byte} is not UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise LabelledFileError(f"{path}: cannot be read: {cause}") from error


def _check_header(path: Path, columns: Iterable[str], by: str | None) -> str | None:
    """Return the domain column: `by`, else the first of `DOMAINS` that exists, else None."""
    columns = list(columns)
    if not columns:
        raise LabelledFileError(f"{path}: line 1: empty, expected a header with the columns {TEXT},{LABEL}")
    for name in (TEXT, LABEL, by):
        if name is not None and name not in columns:
            header = ",".join(columns)
            raise LabelledFileError(f"{path}: line 1: no column {name} among {header[:200]}")
    return by or next((name for name in DOMAINS if name in columns), None)


def _read_row(path: Path, line: int, row: dict[str, str], by: str | None) -> LabelledText:
    for name in (TEXT, LABEL, by, ASPECT):
        if name in row and row[name] is None:
            raise LabelledFileError(f"{path}: line {line}, column {name}: missing")
    if None in row:
        raise LabelledFileError(f"{path}: line {line}: more columns than the header; is a quote missing?")
    return LabelledText(line, row[TEXT], row[LABEL].strip(), row[by] if by else "", row.get(ASPECT))
