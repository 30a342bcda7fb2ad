"""Labelled texts in CSV files."""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import SentiqError

TEXT, LABEL = "text", "label"
LABELS = {"0": 0, "1": 1}
# Columns that say where a text comes from, in the order in which one is looked for.
DOMAINS = ("source", "domain")


class LabelledFileError(SentiqError):
    """A file of labelled texts cannot be read; the message names file, line, column and what was expected."""

    code = "bad_labelled_file"


@dataclass(frozen=True)
class Labelled:
    """Texts with their labels (1 = positive) and domains, in the order of the file. `by` names the column."""

    texts: list[str]
    labels: list[int]
    domains: list[str]
    by: str | None


def read_labelled(path: Path) -> tuple[list[str], list[int]]:
    """Texts and labels (1 = positive) of a CSV; see `read`."""
    found = read(path)
    return found.texts, found.labels


def read(path: Path, by: str | None = None) -> Labelled:
    """Read a CSV, gzipped or not, with the columns `text` and `label`, and `by` or one of `DOMAINS`.

    Raises LabelledFileError.
    """
    reader = csv.DictReader(_lines(path), strict=True)
    try:
        by = _check_header(path, reader.fieldnames or (), by)
        rows = [_read_row(path, reader.line_num, row, by) for row in reader]
    except csv.Error as error:
        raise LabelledFileError(f"{path}: line {reader.line_num}: {error}, expected CSV") from error
    if not rows:
        raise LabelledFileError(f"{path}: line 2: missing, expected at least one row below the header")
    texts, labels, domains = map(list, zip(*rows, strict=True))
    return Labelled(texts, labels, domains, by)


def _lines(path: Path) -> Iterator[str]:
    """Decoded lines with their ends; a byte order mark is left out."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        raise LabelledFileError(f"{path}: line {number}: {found} is not UTF-8, expected UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise LabelledFileError(f"{path}: cannot be read: {cause}") from error


def _check_header(path: Path, columns: Iterable[str], by: str | None) -> str | None:
    """The column of domains: `by`, else the first of `DOMAINS` that is there, else None."""
    columns = list(columns)
    if not columns:
        raise LabelledFileError(f"{path}: line 1: empty, expected a header with the columns {TEXT},{LABEL}")
    for name in (TEXT, LABEL, by):
        if name is not None and name not in columns:
            found = ",".join(columns)
            raise LabelledFileError(f"{path}: line 1: no column {name} among {found[:200]}, expected one")
    return by or next((name for name in DOMAINS if name in columns), None)


def _read_row(path: Path, line: int, row: dict[str, str], by: str | None) -> tuple[str, int, str]:
    for name in (TEXT, LABEL, by):
        if name is not None and row[name] is None:
            raise LabelledFileError(f"{path}: line {line}, column {name}: missing, expected as in the header")
    if None in row:
        raise LabelledFileError(f"{path}: line {line}: more columns than the header has, expected quotes")
    label = row[LABEL].strip()
    if label not in LABELS:
        found = repr(label[:40])
        raise LabelledFileError(
            f"{path}: line {line}, column {LABEL}: {found}, expected 0 (negative) or 1 (positive)"
        )
    return row[TEXT], LABELS[label], row[by] if by else ""
