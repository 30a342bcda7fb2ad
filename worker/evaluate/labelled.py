"""Read labelled texts from CSV files."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import SentiqError

TEXT, LABEL = "text", "label"
LABELS = {"0": 0, "1": 1}
# Columns that may name the domain of a text; the first that exists is used.
DOMAINS = ("source", "domain")


class LabelledFileError(SentiqError):
    """A file of labelled texts is malformed. The message names file, line, column and what was expected."""

    code = "bad_labelled_file"


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with labels (1 = positive) and domains, in the order of the file. `by` is the domain column."""

    texts: list[str]
    labels: list[int]
    domains: list[str]
    by: str | None


def read_labelled(path: Path, by: str | None = None) -> LabelledTexts:
    """Return the texts of a CSV file, gzipped or not. Raises LabelledFileError.

    The file needs the columns `text` and `label`, and `by` if given; else one of `DOMAINS` is optional.
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
    return LabelledTexts(texts, labels, domains, by)


def _lines(path: Path) -> Iterator[str]:
    """Yield the decoded lines with their line ends, without a byte order mark."""
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


def _read_row(path: Path, line: int, row: dict[str, str], by: str | None) -> tuple[str, int, str]:
    for name in (TEXT, LABEL, by):
        if name is not None and row[name] is None:
            raise LabelledFileError(f"{path}: line {line}, column {name}: missing")
    if None in row:
        raise LabelledFileError(f"{path}: line {line}: more columns than the header; is a quote missing?")
    label = row[LABEL].strip()
    if label not in LABELS:
        raise LabelledFileError(
            f"{path}: line {line}, column {LABEL}: {label[:40]!r}, expected 0 (negative) or 1 (positive)"
        )
    return row[TEXT], LABELS[label], row[by] if by else ""
