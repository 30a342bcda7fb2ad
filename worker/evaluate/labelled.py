"""Read labelled texts from CSV files."""

from __future__ import annotations

import contextlib
import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from tasks.errors import SentiqError
from tasks.vocabulary.labels import LabelSet
from worker.evaluate.spellings import SpellingError, is_number, names_of, symbols_of
from worker.packs.pack import Input

TEXT, LABEL, ASPECT = "text", "label", "aspect"
# Columns that may name the domain of a text; the first that exists is used.
DOMAINS = ("domain", "source")


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
        """Return the number of each text's label, which is written as its id, a name or a symbol.

        The symbols 0, n and 1 are negative, neutral and positive for packs of these labels, or of two of
        them; else, and for the three if the file has a 2, they are numbers. Raises LabelledFileError.
        """
        symbols = self._symbols(labels)
        known = {**symbols, **names_of(labels)}
        for row in self.rows:
            if row.label.lower() not in known:
                expected = ", ".join(f"{symbol} ({labels[number].id})" for symbol, number in symbols.items())
                raise self._wrong(row.line, f"{row.label[:40]!r}, expected {expected:.300} or a name")
        return [known[row.label.lower()] for row in self.rows]

    def shared(self, sets: Sequence[LabelSet]) -> tuple[Self, Mapping[str, int]]:
        """Return the texts whose labels every set has, and how many others there are of each label.

        A number that a set lacks stays, and so does an empty label: `numbers` refuses them, since what 0
        and 1 mean beside another number is unknown. Raises LabelledFileError if no text is left.
        """
        known = [{*self._symbols(labels), *names_of(labels)} for labels in sets]

        def stays(label: str) -> bool:
            return not label or is_number(label) or all(label.lower() in names for names in known)

        rows = [row for row in self.rows if stays(row.label)]
        others = Counter(row.label for row in self.rows if not stays(row.label))
        if not rows:
            written = ", ".join(map(repr, others))
            raise LabelledFileError(f"{self.path}: column {LABEL}: no label of the pack, only {written:.300}")
        return replace(self, rows=rows), dict(others.most_common())

    def _wrong(self, line: int, cause: str) -> LabelledFileError:
        """Return the error of a label, which names its place."""
        return LabelledFileError(f"{self.path}: line {line}, column {LABEL}: {cause}")

    def _symbols(self, labels: LabelSet) -> Mapping[str, int]:
        try:
            return symbols_of(labels, {row.label.lower(): row.line for row in reversed(self.rows)})
        except SpellingError as error:
            raise self._wrong(error.line, str(error)) from error


def read_labelled(path: Path, by: str | None = None) -> LabelledTexts:
    """Return the texts of a CSV file, gzipped or not. Raises LabelledFileError.

    The file needs the columns `text` and `label`, and `by` if given; else one of `DOMAINS` is optional.
    """
    columns, lines = read_table(path, TEXT, LABEL, *([by] if by else []))
    by = by or next((name for name in DOMAINS if name in columns), None)
    rows = [
        LabelledText(line, row[TEXT], row[LABEL].strip(), row[by] if by else "", row.get(ASPECT))
        for line, row in lines
    ]
    if not rows:
        raise LabelledFileError(f"{path}: line 2: missing, expected at least one row below the header")
    return LabelledTexts(path, rows, by)


def read_table(path: Path, *needed: str) -> tuple[Sequence[str], Iterator[tuple[int, dict[str, str]]]]:
    """Return the columns of a CSV file, gzipped or not, and its rows, each with the line on which it ends.

    A row has the needed columns and those of `DOMAINS` and `ASPECT` that the file has; other cells at its
    end may be missing and are empty then. Columns without a name, as spreadsheets leave them, are left out.
    Raises LabelledFileError, also while rows are read.
    """
    reader = csv.DictReader(read_lines(path), strict=True)
    with _named(path, reader):
        columns = list(reader.fieldnames or ())
    if not columns:
        raise LabelledFileError(
            f"{path}: line 1: empty, expected a header with the columns {','.join(needed)}"
        )
    for name in needed:
        if name not in columns:
            raise LabelledFileError(f"{path}: line 1: no column {name} among {','.join(columns)[:200]}")
    for name, count in Counter(columns).items():
        if name and count > 1:
            raise LabelledFileError(f"{path}: line 1: {count} columns are named {name:.40}, expected one")
    known = [name for name in (*needed, *DOMAINS, ASPECT) if name in columns]
    return columns, _rows(path, reader, known)


def _rows(
    path: Path, reader: csv.DictReader[str], known: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    with _named(path, reader):
        for row in reader:
            for name in known:
                if row[name] is None:
                    raise LabelledFileError(f"{path}: line {reader.line_num}, column {name}: missing")
            if None in row:
                where = f"{path}: line {reader.line_num}"
                raise LabelledFileError(f"{where}: more columns than the header; is a quote missing?")
            yield reader.line_num, {name: cell or "" for name, cell in row.items() if name}


@contextlib.contextmanager
def _named(path: Path, reader: csv.DictReader[str]) -> Iterator[None]:
    """Raise an error of CSV with the file and the line."""
    try:
        yield
    except csv.Error as error:
        # `reader.line_num` is the line of the last row that was read.
        line = reader.reader.line_num
        raise LabelledFileError(f"{path}: line {line}: {error}, expected CSV") from error


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
