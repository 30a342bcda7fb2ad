"""XLSX out: a workbook with its formats and four more columns, or a stream of values where it is large."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import IO, Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.writer.excel import ExcelWriter

from sentiq.tables.archives import SteadyArchive
from sentiq.tables.table import Names, Row, TableError, Target, Verdict
from sentiq.tables.values import as_text
from sentiq.tables.workbook import MAX_ROWS, Formula, WorkbookTable

# From that many rows on values are streamed: a workbook with its formats takes some 5 KB of memory a row.
MAX_FORMATTED_ROWS = 100_000
_MAX_CELL_CHARS = 32_767
_NUMBERS = (int, float)


class FormattedWriter:
    """Adds columns to a workbook, which keeps its formats, formulas and other sheets."""

    def __init__(self, file: IO[bytes], table: WorkbookTable, names: Names) -> None:
        """Read the whole workbook, and write the header of the new columns."""
        self._file = file
        with table.source.open() as source:
            self._book = openpyxl.load_workbook(source)
        self._sheet: Any = self._book[table.sheet]
        self._first = len(table.columns) + 1
        last = self._sheet.cell(table.header_row, max(1, len(table.columns)))
        for place, name in enumerate(names, self._first):
            cell = self._sheet.cell(table.header_row, place)
            _set_text(cell, name)
            cell._style = copy.copy(last._style)  # noqa: SLF001  openpyxl's way to copy a style

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add the cells of a row."""
        for place, value in enumerate(verdict.values, self._first):
            if value is not None:
                cell = self._sheet.cell(row.origin, place)
                if isinstance(value, str):
                    _set_text(cell, value)
                else:
                    cell.value = value

    def close(self) -> None:
        """Write the workbook."""
        _save(self._book, self._file)


class StreamedWriter:
    """Writes values row by row: all sheets of a large workbook, or one sheet of another table."""

    def __init__(
        self, file: IO[bytes], table: WorkbookTable | None, columns: Sequence[str], target: Target
    ) -> None:
        """Copy the other sheets, and write the header."""
        self._file = file
        self._width = len(columns)
        self._rows = 0
        self._book = openpyxl.Workbook(write_only=True)
        if table is None:
            self._sheet = self._book.create_sheet("Sheet1")
        else:
            self._copy(table)
        self._append([*columns, *target.names])

    def _copy(self, table: WorkbookTable) -> None:
        for name in table.sheets:
            sheet = self._book.create_sheet(name)
            if name == table.sheet:
                self._sheet = sheet
                for _ in range(table.header_row - 1):
                    self._append([])
            else:
                for row in table.grid(name):
                    sheet.append([_cell(sheet, value) for value in row])

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row; cells beyond the header stand behind the verdict."""
        self._append([*row.cells[: self._width], *verdict.values, *row.cells[self._width :]])

    def close(self) -> None:
        """Write the workbook."""
        _save(self._book, self._file)

    def _append(self, values: Sequence[Any]) -> None:
        self._rows += 1
        if self._rows > MAX_ROWS:
            raise TableError(f"A sheet has at most {MAX_ROWS:,} rows. Write CSV or Parquet.")
        try:
            self._sheet.append([_cell(self._sheet, value) for value in values])
        except TableError:
            self._sheet.close()  # else its end complains when it is collected
            raise


def _cell(sheet: Any, value: Any) -> Any:
    """Return a cell: a formula only if it was one, and a text that is never run."""
    if isinstance(value, Formula):
        return str(value)
    if value is None or isinstance(value, _NUMBERS):
        return value
    if isinstance(value, (dict, list, tuple, bytes)):
        value = as_text(value)
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet)
    _set_text(cell, value)
    return cell


def _set_text(cell: Any, text: str) -> None:
    if len(text) > _MAX_CELL_CHARS:
        raise TableError(f"A cell of XLSX has at most {_MAX_CELL_CHARS:,} characters. Write CSV.")
    cell.value = ILLEGAL_CHARACTERS_RE.sub("\ufffd", text.encode("utf-8", "replace").decode())
    cell.data_type = "s"


def _save(book: Any, file: IO[bytes]) -> None:
    with SteadyArchive(file) as archive:
        ExcelWriter(book, archive).save()
