"""CSV and TSV: rows of cells between delimiters, in quotes where a cell holds one."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

from sentiq.tables.dialect import Dialect, dialect_of
from sentiq.tables.encodings import Encoding, encoding_of, has_undecodable
from sentiq.tables.source import Source
from sentiq.tables.spreadsheets import safe_cell
from sentiq.tables.table import (
    Row,
    TableError,
    Target,
    Verdict,
    Wanted,
    find_column,
    is_empty,
    shown,
)
from sentiq.tables.values import as_text

_SAMPLE_CHARS = 256 * 1024
# Where the header is one cell, a comma in a row belongs to the text.
_NONE = "\x1f"
_MAX_CELL_CHARS = 1024 * 1024
# Read behind the last row: it is a row of its own unless a quote is still open.
_END = "\ufdd0end of the table\ufdd0"


class DelimitedTable:
    """A CSV or TSV file. Rows of another width than the header are kept and not scored."""

    def __init__(self, source: Source, kind: str, wanted: Wanted) -> None:
        """Read the header. Raises TableError if there is none, or if a wanted column is missing."""
        self._source = source
        self.format = kind
        self.encoding = encoding_of(source, wanted.encoding)
        sample = self._sample()
        if not sample.strip():
            raise TableError(f"{source.name} has no header. Give a file with a header and at least one row.")
        self.dialect = dialect_of(sample, wanted.delimiter, source.suffix, wanted.column)
        self._delimiter = self.dialect.delimiter
        self.columns: Sequence[str] = next(row for row in self._cells() if row)
        if len(self.columns) == 1 and self.dialect.detected:
            self._delimiter = _NONE
        self._place = find_column(self.columns, wanted.column)
        self._by = find_column(self.columns, wanted.by, "--by") if wanted.by is not None else None
        self.text_column = self.columns[self._place]
        self.about = (
            f"{self.encoding.about}, {'one column' if self._delimiter == _NONE else self.dialect.about}"
        )

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the header; blank lines are rows only where there is one column."""
        cells = self._cells()
        next(row for row in cells if row)
        width = len(self.columns)
        for row in cells:
            if row or width == 1:
                yield self._row(row or [""], width)

    def _row(self, cells: list[str], width: int) -> Row:
        group = cells[self._by] if self._by is not None and self._by < len(cells) else None
        if len(cells) != width:
            padded = cells + [""] * (width - len(cells))
            return Row(padded, None, "invalid_row", group)
        text = cells[self._place]
        if is_empty(text):
            return Row(cells, None, None, group)
        if has_undecodable(text):
            return Row(cells, None, "invalid_encoding", group)
        return Row(cells, text, None, group)

    def _sample(self) -> str:
        with self.encoding.reader(self._source) as lines:
            try:
                return lines.read(_SAMPLE_CHARS)
            except UnicodeError as error:
                raise self._unreadable(error) from None

    def _cells(self) -> Iterator[list[str]]:
        """Yield the cells of every row, the header too, blank lines as rows without a cell."""
        csv.field_size_limit(_MAX_CELL_CHARS)
        with self.encoding.reader(self._source) as lines:
            reader = csv.reader(_ended(lines), delimiter=self._delimiter)
            begins = 1
            while True:
                try:
                    row = next(reader)
                except csv.Error as error:
                    raise self._damaged(begins, str(error)) from None
                except UnicodeError as error:
                    raise self._unreadable(error) from None
                if row == [_END]:
                    return
                if row and _END in row[-1]:
                    raise self._damaged(begins, "its quote is never closed")
                yield row
                begins = reader.line_num + 1

    def _damaged(self, line: int, why: str) -> TableError:
        if "field larger" in why:
            why = f"a cell has more than {_MAX_CELL_CHARS:,} characters, or its quote is never closed"
        return TableError(
            f"{self._source.name}, row that begins in line {line}: {why}. "
            'Correct the row: write a quote inside of a cell in quotes twice ("").'
        )

    def _unreadable(self, error: UnicodeError) -> TableError:
        return TableError(
            f"{self._source.name} is not {self.encoding.codec.upper()}: {error}. "
            "Name its encoding: --encoding gb18030 for instance."
        )


class DelimitedWriter:
    """Writes CSV or TSV: cells as they were, and the verdicts behind the last column."""

    def __init__(
        self, file: IO[bytes], columns: Sequence[str], encoding: Encoding, dialect: Dialect, target: Target
    ) -> None:
        """Write the header. Raises TableError if the encoding lacks a character of it."""
        self._encoding = encoding
        self._text = encoding.writer(file)
        self._dialect = dialect
        self._safe = target.excel
        self._width = len(columns)
        self._special = re.compile(f'["\r\n{re.escape(dialect.delimiter)}]')
        self._line([*columns, *target.names])

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row; cells beyond the header stand behind the verdict."""
        cells = list(row.cells)
        self._line([*cells[: self._width], *verdict.values, *cells[self._width :]])

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._text.flush()
        self._text.detach()

    def _line(self, cells: Sequence[Any]) -> None:
        line = self._dialect.delimiter.join([self._quoted(cell) for cell in cells])
        try:
            self._text.write(line + self._dialect.newline)
        except UnicodeEncodeError as error:
            raise TableError(
                f"{self._encoding.codec.upper()} has no {shown(str(error.object[error.start]))}. "
                "Write another format, or give the input with --encoding utf-8 if it is that."
            ) from None

    def _quoted(self, cell: Any) -> str:
        text = cell if isinstance(cell, str) else as_text(cell)
        if self._safe and isinstance(cell, str):
            text = safe_cell(text)
        if self._special.search(text):
            return '"' + text.replace('"', '""') + '"'
        return text


def _ended(lines: IO[str]) -> Iterator[str]:
    """Yield the lines, then a row that shows whether a quote is open."""
    last = "\n"
    for line in lines:
        yield line
        last = line
    if not last.endswith(("\n", "\r")):
        yield "\n"
    yield _END
