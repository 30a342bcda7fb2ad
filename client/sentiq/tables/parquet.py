"""Parquet, a batch of rows at a time; needs pyarrow."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from sentiq.tables.source import Source
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

# pyarrow's own choice, mimalloc, keeps several times what is in use. Its readers and writers look here once,
# when it is loaded; `pa.set_memory_pool` would not reach them.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
try:
    import pyarrow as pa
    from pyarrow import parquet
except ImportError:
    raise TableError("Parquet needs pyarrow. Run: pip install 'sentiq[pyarrow]'") from None

_BATCH_ROWS = 8192
# What is read at once of a column; without a size pyarrow reads the whole column of a row group.
_READ_BYTES = 64 * 1024
# The largest row group that is written, in rows and in bytes; a smaller one of the input stays as it is.
_MAX_GROUP_ROWS = 131_072
_MAX_GROUP_BYTES = 16 * 2**20


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one row group of the input."""

    group: int
    rows: Any


class ParquetTable:
    """A Parquet file, read by batches of its row groups."""

    format = "parquet"

    def __init__(self, source: Source, wanted: Wanted) -> None:
        """Read the schema. Raises TableError."""
        self._source = source
        with _opened(source) as file:
            self.schema = file.schema_arrow
            self._groups, rows = file.num_row_groups, file.metadata.num_rows
        self.columns: Sequence[str] = self.schema.names
        if not self.columns:
            raise TableError(f"{source.name} has no column. Give a file with a column of texts.")
        self._place = find_column(self.columns, wanted.column)
        self._by = find_column(self.columns, wanted.by, "--by") if wanted.by is not None else None
        self.text_column = self.columns[self._place]
        self.about = f"Parquet, {rows:,} rows in {self._groups:,} row groups"

    def rows(self) -> Iterator[Row]:
        """Yield all rows; `origin` is the batch and the place of the row in it."""
        for batch in self._batches():
            texts = [as_text(plain(value)) for value in batch.rows.column(self._place).to_pylist()]
            by = batch.rows.column(self._by).to_pylist() if self._by is not None else None
            for place, text in enumerate(texts):
                group = as_text(plain(by[place])) if by is not None else None
                yield Row((), None if is_empty(text) else text, None, group, (batch, place))

    def rows_with_cells(self) -> Iterator[Row]:
        """Yield the rows with the values of their cells, for a writer of another format."""
        last, columns = None, []
        for row in self.rows():
            batch, place = row.origin
            if batch is not last:
                last, columns = batch, [column.to_pylist() for column in batch.rows.columns]
            cells = [plain(column[place]) for column in columns]
            yield Row(cells, row.text, row.problem, row.group)

    def _batches(self) -> Iterator[Batch]:
        with _opened(self._source) as file:
            try:
                for group in range(self._groups):
                    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
                        yield Batch(group, batch)
            except (pa.ArrowException, OSError) as error:
                raise _damaged(self._source, error) from None


class ParquetWriter:
    """Adds four columns to the batches of a Parquet file, and keeps its schema and its metadata."""

    def __init__(self, file: IO[bytes], table: ParquetTable, target: Target) -> None:
        """Begin the file."""
        self._schema = table.schema
        for name, kind in zip(target.names, _kinds(), strict=True):
            self._schema = self._schema.append(pa.field(name, kind))
        self._file = parquet.ParquetWriter(file, self._schema)
        self._batch: Batch | None = None
        self._verdicts: list[Verdict] = []
        self._pending: list[Any] = []

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row, in the order of the input."""
        batch, _ = row.origin
        if batch is not self._batch:
            self._finish_batch()
            if self._batch is not None and batch.group != self._batch.group:
                self._flush()
            self._batch = batch
        self._verdicts.append(verdict)

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._finish_batch()
        self._flush()
        self._file.close()

    def _finish_batch(self) -> None:
        if self._batch is None or not self._verdicts:
            return
        added = [
            pa.array(values, kind) for values, kind in zip(_columns(self._verdicts), _kinds(), strict=True)
        ]
        batch = pa.RecordBatch.from_arrays([*self._batch.rows.columns, *added], schema=self._schema)
        self._pending.append(batch)
        self._verdicts = []
        rows = sum(each.num_rows for each in self._pending)
        if rows >= _MAX_GROUP_ROWS or sum(each.nbytes for each in self._pending) >= _MAX_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Write a row group."""
        if self._pending:
            self._file.write_table(pa.Table.from_batches(self._pending, self._schema), _MAX_GROUP_ROWS)
            self._pending = []


class TextParquetWriter:
    """Writes another table as Parquet: its cells as texts, null where they have no value."""

    def __init__(self, file: IO[bytes], columns: Sequence[str], target: Target) -> None:
        """Begin the file. Raises TableError if a column occurs twice."""
        repeated = {name for name in columns if list(columns).count(name) > 1}
        if repeated:
            raise TableError(f"Parquet cannot hold the column {shown(repeated.pop())} twice. Rename one.")
        fields = [(name, pa.string()) for name in columns]
        fields += list(zip(target.names, _kinds(), strict=True))
        self._schema = pa.schema(fields)
        self._file = parquet.ParquetWriter(file, self._schema)
        self._width = len(columns)
        self._rows: list[list[str | None]] = []
        self._verdicts: list[Verdict] = []

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row. Raises TableError if it has more cells than columns."""
        if len(row.cells) > self._width:
            raise TableError("A row has more cells than the header, which Parquet cannot hold. Write CSV.")
        self._rows.append([None if cell is None else _encodable(as_text(cell)) for cell in row.cells])
        self._verdicts.append(verdict)
        if len(self._rows) == _BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [*zip(*self._rows, strict=True), *_columns(self._verdicts)]
            arrays = [
                pa.array(values, kind) for values, kind in zip(columns, self._schema.types, strict=True)
            ]
            self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self._rows, self._verdicts = [], []


def plain(value: Any) -> Any:
    """Return a value as other formats know it: a number that is none is no value."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _columns(verdicts: Sequence[Verdict]) -> list[tuple[Any, ...]]:
    return list(zip(*[verdict.values for verdict in verdicts], strict=True))


def _kinds() -> list[Any]:
    return [pa.string(), pa.float64(), pa.float64(), pa.string()]


def _encodable(text: str) -> str:
    """Return the text with U+FFFD for what UTF-8 lacks."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _opened(source: Source) -> Any:
    try:
        return parquet.ParquetFile(source.open(), pre_buffer=False, buffer_size=_READ_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from None


def _damaged(source: Source, error: Exception) -> TableError:
    return TableError(f"{source.name} is no Parquet, or damaged: {error}. Write it anew, or as CSV.")
