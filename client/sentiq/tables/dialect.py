"""The delimiter and the line end of a file of rows, by its beginning."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from sentiq.tables.table import TableError

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}
_SAMPLE_ROWS = 200
_USUAL = 0.9


@dataclass(frozen=True)
class Dialect:
    """How cells and rows end."""

    delimiter: str
    newline: str
    detected: bool = True

    @property
    def about(self) -> str:
        """Return the delimiter as a person is told it."""
        name = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        return f"delimiter {name}" + (" (detected)" if self.detected else "")


def dialect_of(sample: str, given: str | None, suffix: str, column: str | None) -> Dialect:
    """Return the dialect of rows that begin with the sample. Raises TableError for a delimiter of no use."""
    newline = _newline(sample)
    if given is not None:
        return Dialect(_named(given), newline, detected=False)
    lines = sample.splitlines(keepends=True)
    preferred = "\t" if suffix in (".tsv", ".tab") else ","
    candidates = sorted(DELIMITERS, key=lambda each: each != preferred)
    best = max(candidates, key=lambda each: _fitness(lines, each, column))
    return Dialect(best, newline)


def _named(given: str) -> str:
    delimiter = _WORDS.get(given.lower(), given)
    if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
        raise TableError(
            f"--delimiter {given!r} is not one ASCII character other than a quote or a line end. "
            "Use comma, semicolon, tab, bar or the character itself."
        )
    return delimiter


def _newline(sample: str) -> str:
    """Return the first line end outside of quotes."""
    quoted = False
    for place, char in enumerate(sample):
        if char == '"':
            quoted = not quoted
        elif char in "\r\n" and not quoted:
            return "\r\n" if sample.startswith("\r\n", place) else char
    return "\r\n" if "\r\n" in sample else "\n"


def _fitness(lines: Sequence[str], delimiter: str, column: str | None) -> tuple[bool, bool, float, int]:
    """Return how well a delimiter divides the lines: the larger, the better."""
    rows = []
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == _SAMPLE_ROWS:
                break
    except csv.Error:
        return False, False, 0.0, 0
    if not rows:
        return False, False, 0.0, 0
    width = len(rows[0])
    # The sample may end within a row.
    whole = rows[:-1] if len(rows) > 2 else rows  # noqa: PLR2004
    share = sum(len(row) == width for row in whole) / len(whole)
    named = column is not None and column.strip() in (cell.strip() for cell in rows[0])
    return named, width > 1 and share >= _USUAL, share if width > 1 else 0.0, width
