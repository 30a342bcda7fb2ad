"""XLSX: the first sheet that has the column of the text, read as a stream; needs openpyxl."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from sentiq.tables.archives import check_archive
from sentiq.tables.source import Source
from sentiq.tables.table import Row, TableError, Wanted, find_column, is_empty, listed, shown
from sentiq.tables.values import as_text

try:
    import openpyxl
    from openpyxl.utils import get_column_letter
    from openpyxl.utils.exceptions import InvalidFileException
except ImportError:
    raise TableError("XLSX needs openpyxl. Run: pip install 'sentiq[openpyxl]'") from None

MAX_ROWS = 1_048_576
_BLOCK = 1024 * 1024
_FAULTS = (zipfile.BadZipFile, InvalidFileException, ValueError, KeyError, TypeError, EOFError, OSError)


class Formula(str):
    """A formula whose value the file does not hold."""

    __slots__ = ()


class WorkbookTable:
    """A sheet of an XLSX file. A formula is the value that the file holds for it, or else its own text."""

    format = "xlsx"

    def __init__(self, source: Source, wanted: Wanted) -> None:
        """Find the sheet and its header. Raises TableError."""
        check_archive(source)
        self.source = source
        self.sheet, self.header_row, header = self._find(wanted)
        self.height, width, self._has_formulas = self._measure()
        # Cells right of the header belong to columns that only have a letter.
        letters = [get_column_letter(place + 1) for place in range(max(width, len(header)))]
        names = [*header, *[""] * (len(letters) - len(header))]
        self.columns: Sequence[str] = [name or letter for name, letter in zip(names, letters, strict=True)]
        self._place = find_column(self.columns, wanted.column)
        self._by = find_column(self.columns, wanted.by, "--by") if wanted.by is not None else None
        self.text_column = self.columns[self._place]
        self.about = f"sheet {shown(self.sheet)}, {self.height - self.header_row:,} rows"

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the header; `origin` is the number of the row, from 1."""
        width = len(self.columns)
        below = itertools.islice(self.grid(), self.header_row, None)
        for number, row in enumerate(below, self.header_row + 1):
            yield self._row([*row[:width], *[None] * (width - len(row))], number)

    def grid(self, sheet: str | None = None) -> Iterator[Sequence[Any]]:
        """Yield all rows of the sheet, or of another: values, and formulas where the file holds no value."""
        values = self._values(data_only=True, sheet=sheet)
        if not self._has_formulas:
            yield from values
            return
        for row, own in zip(values, self._values(data_only=False, sheet=sheet), strict=False):
            yield [_or_formula(value, cell) for value, cell in itertools.zip_longest(row, own)]

    def _row(self, cells: Sequence[Any], number: int) -> Row:
        group = as_text(cells[self._by]) if self._by is not None else None
        text = as_text(cells[self._place])
        return Row(cells, None if is_empty(text) else text, None, group, number)

    def _values(self, *, data_only: bool, sheet: str | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the values of all rows of the sheet, or of another; a formula is its value or its text."""
        with _Opened(self.source, data_only=data_only) as book:
            lines = book[sheet or self.sheet]
            lines.reset_dimensions()  # what the file says of them may be wrong
            try:
                for number, row in enumerate(lines.iter_rows(values_only=True), 1):
                    if number > MAX_ROWS:
                        raise TableError(f"{self.source.name}: the sheet has more than {MAX_ROWS:,} rows.")
                    yield row
            except _FAULTS as error:
                raise _damaged(self.source, error) from None

    def _find(self, wanted: Wanted) -> tuple[str, int, list[str]]:
        """Return the sheet, the number of its header row, and the header."""
        seen: list[str] = []
        with _Opened(self.source, data_only=True) as book:
            self.sheets = [str(each.title) for each in book.worksheets]
        if wanted.sheet is not None and wanted.sheet not in self.sheets:
            raise TableError(
                f"There is no sheet {shown(wanted.sheet)}. Name one with --sheet: {listed(self.sheets)}"
            )
        for name in self.sheets if wanted.sheet is None else [wanted.sheet]:
            number, header = self._header(name)
            if number and (wanted.sheet is not None or _has(header, wanted.column)):
                return name, number, header
            seen += header
        if not seen:
            raise TableError(f"{self.source.name} is empty. Give a sheet with a header and at least one row.")
        find_column(seen, wanted.column or "text")
        raise TableError(f"No sheet has one column {shown(wanted.column or 'text')}. Name one with --sheet.")

    def _header(self, sheet: str) -> tuple[int, list[str]]:
        """Return the first row with a value and its number; 0 if the sheet has none."""
        for number, row in enumerate(self._values(data_only=True, sheet=sheet), 1):
            if any(value is not None for value in row):
                return number, [as_text(value) for value in _trimmed(row)]
        return 0, []

    def _measure(self) -> tuple[int, int, bool]:
        """Return the number of rows, that of columns with a value, and whether there are formulas."""
        height, width = 0, 0
        for height, row in enumerate(self._values(data_only=True), 1):  # noqa: B007  the last one counts
            width = max(width, len(_trimmed(row)))
        return height, width, self._finds_formula()

    def _finds_formula(self) -> bool:
        with self.source.open() as file, zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                if entry.filename.startswith("xl/worksheets/") and _contains(archive, entry, b"<f"):
                    return True
        return False


def _or_formula(value: Any, cell: Any) -> Any:
    """Return a value, or the formula of a cell that has none."""
    if value is not None or cell is None:
        return value
    return Formula(getattr(cell, "text", None) or cell)


class _Opened:
    """A workbook that is open while the context lasts."""

    def __init__(self, source: Source, *, data_only: bool) -> None:
        self._source = source
        self._file = source.open()
        self._data_only = data_only

    def __enter__(self) -> Any:
        try:
            self._book = openpyxl.load_workbook(self._file, read_only=True, data_only=self._data_only)
        except _FAULTS as error:
            self._file.close()
            raise _damaged(self._source, error) from None
        return self._book

    def __exit__(self, *_: object) -> None:
        self._book.close()
        self._file.close()


def _damaged(source: Source, error: Exception) -> TableError:
    if isinstance(error, TableError):
        return error
    return TableError(f"{source.name} is damaged: {error}. Open it, and save it as .xlsx anew or as CSV.")


def _has(header: Sequence[str], column: str | None) -> bool:
    try:
        find_column(header, column)
    except TableError:
        return False
    return True


def _trimmed(row: Sequence[Any]) -> Sequence[Any]:
    """Return a row without the empty cells at its end."""
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row[:end]


def _contains(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, word: bytes) -> bool:
    """Return whether an entry has the beginning of a formula."""
    last = b""
    with archive.open(entry) as file:
        while block := file.read(_BLOCK):
            if any(word + end in last + block for end in (b">", b" ", b"/")):
                return True
            last = block[-len(word) :]
    return False
