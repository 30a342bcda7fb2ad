"""The formats by their names and suffixes: open a table, and the writer of another or the same format."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any

from sentiq.tables.delimited import DelimitedTable, DelimitedWriter
from sentiq.tables.dialect import Dialect
from sentiq.tables.encodings import Encoding
from sentiq.tables.jsonl import JsonlTable, JsonlWriter, cells_of
from sentiq.tables.source import Source
from sentiq.tables.table import Row, Table, TableError, Target, Wanted, Writer

_SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}
FORMATS = tuple(dict.fromkeys(_SUFFIXES.values()))
_BOM = b"\xef\xbb\xbf"


def format_of(name: str, given: str | None, option: str) -> str:
    """Return the format that was given, or that of a file's suffix. Raises TableError if it says none."""
    if given:
        return given
    suffix = PurePath(name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    known = ", ".join(_SUFFIXES)
    raise TableError(
        f"The format of {name} is not known by its suffix. Use {known}, or name it with {option}."
    )


def open_table(source: Source, kind: str, wanted: Wanted) -> Table:
    """Return the table of a source. Raises TableError, also if a package for the format is missing."""
    if kind == "xlsx":
        return _module("workbook").WorkbookTable(source, wanted)  # type: ignore[no-any-return]
    if kind == "parquet":
        return _module("parquet").ParquetTable(source, wanted)  # type: ignore[no-any-return]
    return JsonlTable(source, wanted) if kind == "jsonl" else DelimitedTable(source, kind, wanted)


def _module(name: str) -> Any:
    """Return a module of a format that needs a package of its own, which takes a while to load."""
    return importlib.import_module(f"sentiq.tables.{name}")


@dataclass(frozen=True)
class Output:
    """What a table is written to: a format, with the encoding and the dialect of an input of that format."""

    kind: str
    target: Target

    def columns(self, table: Table) -> Sequence[str]:
        """Return the columns that the writer will have; of lines in another format, those of all lines."""
        if isinstance(table, JsonlTable) and self.kind != "jsonl":
            return table.all_columns()
        return table.columns

    def writer(self, file: IO[bytes], table: Table, columns: Sequence[str]) -> Writer:
        """Return the writer. Raises TableError if the format cannot hold the columns."""
        if self.kind in ("xlsx", "parquet"):
            writer: Writer = getattr(self, f"_{self.kind}")(file, table, columns)
            return writer
        if self.kind == "jsonl":
            return JsonlWriter(file, columns, self._encoding(table, ("jsonl",)), self.target)
        encoding = self._encoding(table, ("csv", "tsv"))
        return DelimitedWriter(file, columns, encoding, self._dialect(table), self.target)

    def rows(self, table: Table, columns: Sequence[str]) -> Iterator[Row]:
        """Yield the rows of the table as the writer takes them; only one of the same format has `origin`."""
        if self.kind == table.format:
            yield from table.rows()
        elif isinstance(table, JsonlTable):
            for row in table.rows():
                line, value = row.origin
                yield Row(cells_of(value, line, columns), row.text, row.problem, row.group)
        elif table.format == "parquet":
            yield from table.rows_with_cells()  # type: ignore[attr-defined]
        else:
            for row in table.rows():
                row.origin = None
                yield row

    def _xlsx(self, file: IO[bytes], table: Any, columns: Sequence[str]) -> Any:
        writers, book = _module("workbook_writers"), table if table.format == "xlsx" else None
        if book and book.height < writers.MAX_FORMATTED_ROWS:
            return writers.FormattedWriter(file, book, self.target.names)
        return writers.StreamedWriter(file, book, columns, self.target)

    def _parquet(self, file: IO[bytes], table: Any, columns: Sequence[str]) -> Any:
        module = _module("parquet")
        if table.format == "parquet":
            return module.ParquetWriter(file, table, self.target)
        return module.TextParquetWriter(file, columns, self.target)

    def _encoding(self, table: Table, kinds: Sequence[str]) -> Encoding:
        encoding = Encoding("utf-8")
        if isinstance(table, (DelimitedTable, JsonlTable)) and table.format in kinds:
            encoding = table.encoding
        if self.target.excel and "csv" in kinds and encoding.codec == "utf-8":
            return Encoding("utf-8", _BOM)
        return encoding

    def _dialect(self, table: Table) -> Dialect:
        """Return the dialect of an input of the same format, else the format's own."""
        if isinstance(table, DelimitedTable) and table.format == self.kind:
            return table.dialect
        newline = table.dialect.newline if isinstance(table, DelimitedTable) else "\n"
        return Dialect("\t" if self.kind == "tsv" else ",", newline)
