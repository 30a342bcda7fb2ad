"""JSONL: an object a line, each kept as its bytes came, with the verdict as further fields."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from sentiq.tables.encodings import Encoding, encoding_of, has_undecodable
from sentiq.tables.source import Source
from sentiq.tables.table import (
    Names,
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

# The fields of the first lines are those that a message lists.
_SAMPLE_LINES = 1000
_MAX_LINE_CHARS = 16 * 1024 * 1024
_MAX_COLUMNS = 10_000
# Half of a surrogate pair; undecodable bytes are others.
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# The field that holds a line which is no object.
LINE = "line"
# The field that holds cells beyond the header of a row.
EXTRA = "extra_cells"


class JsonlTable:
    """A JSONL file. A line that is no object is kept and not scored."""

    format = "jsonl"

    def __init__(self, source: Source, wanted: Wanted) -> None:
        """Look for the column in the first lines. Raises TableError if none of them has it."""
        self._source = source
        self.encoding = encoding_of(source, wanted.encoding)
        fields: dict[str, None] = {}
        for line in itertools.islice(self._lines(), _SAMPLE_LINES):
            value = _parsed(line)
            fields |= dict.fromkeys(value) if isinstance(value, dict) else {}
        if not fields:
            raise TableError(
                f"{source.name} has no line that is a JSON object. Write each row as one: "
                '{"text": "…", "id": 1}'
            )
        self.columns: Sequence[str] = list(fields)
        self.text_column = self.columns[find_column(self.columns, wanted.column)]
        self._by = (
            self.columns[find_column(self.columns, wanted.by, "--by")] if wanted.by is not None else None
        )
        self.about = self.encoding.about

    def rows(self) -> Iterator[Row]:
        """Yield a row for each line that is not blank."""
        for line in self._lines():
            yield self._row(line, _parsed(line))

    def all_columns(self) -> list[str]:
        """Read the whole file and return its fields in order. Raises TableError if these are too many."""
        fields: dict[str, None] = {}
        for line in self._lines():
            value = _parsed(line)
            fields |= dict.fromkeys(value if isinstance(value, dict) else [LINE])
            if len(fields) > _MAX_COLUMNS:
                raise TableError(f"The lines have more than {_MAX_COLUMNS:,} fields. Write JSONL.")
        return list(fields)

    def _row(self, line: str, value: Any) -> Row:
        if not isinstance(value, dict):
            return Row((), None, "invalid_json" if value is _NOT_JSON else "invalid_line", None, (line, None))
        by = value.get(self._by) if self._by is not None else None
        group = None if by is None else by if isinstance(by, str) else json.dumps(by, ensure_ascii=False)
        text, problem = _text(value.get(self.text_column))
        return Row((), text, problem, group, (line, value))

    def _lines(self) -> Iterator[str]:
        """Yield the lines that are not blank, without their ends."""
        with self.encoding.reader(self._source) as file:
            for number in itertools.count(1):
                try:
                    line = file.readline(_MAX_LINE_CHARS)
                except UnicodeError as error:
                    raise TableError(
                        f"{self._source.name} is not {self.encoding.codec.upper()}: {error}. "
                        "Name its encoding: --encoding gb18030 for instance."
                    ) from None
                if len(line) == _MAX_LINE_CHARS:
                    raise TableError(
                        f"{self._source.name}, line {number}: more than {_MAX_LINE_CHARS:,} characters. "
                        "Write each row as a JSON object in a line of its own."
                    )
                if not line:
                    return
                if stripped := line.strip(" \t\r\n"):
                    yield stripped


class JsonlWriter:
    """Writes JSONL: a line that was one keeps its text, other rows become objects."""

    def __init__(self, file: IO[bytes], columns: Sequence[str], encoding: Encoding, target: Target) -> None:
        """Take the columns of rows that are no objects. Raises TableError if one occurs twice."""
        repeated = {name for name in columns if list(columns).count(name) > 1}
        if repeated:
            raise TableError(
                f"JSONL cannot hold the column {shown(repeated.pop())} twice. Rename one, or write CSV."
            )
        self._text: io.TextIOWrapper = encoding.writer(file)
        self._columns = columns
        self._names: Names = target.names

    def write(self, row: Row, verdict: Verdict) -> None:
        """Add a row. Raises TableError if it has a field of one of the new names."""
        line, value = row.origin or ("", None)
        if not line:
            value = dict(zip(self._columns, row.cells, strict=False))
            if len(row.cells) > len(self._columns):
                value[EXTRA] = list(row.cells[len(self._columns) :])
            line = json.dumps(value, ensure_ascii=False, default=as_text)
        elif value is None:
            value = {LINE: line}
            line = json.dumps(value, ensure_ascii=False)
        self._names.check(list(value))
        added = json.dumps(dict(zip(self._names, verdict.values, strict=True)), ensure_ascii=False)
        start = line[:-1].rstrip()
        comma = "" if start == "{" else ", "
        self._text.write(f"{start}{comma}{added[1:]}\n")

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._text.flush()
        self._text.detach()


def cells_of(value: Mapping[str, Any] | None, line: str, columns: Sequence[str]) -> list[Any]:
    """Return the cells of a line for a format of columns: objects and lists as JSON, absent fields None."""
    fields = {LINE: line} if value is None else value
    return [_cell(fields.get(name)) for name in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return _HALF.sub("\ufffd", value) if isinstance(value, str) else value


_NOT_JSON = object()


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _text(value: Any) -> tuple[str | None, str | None]:
    """Return the text of a field and None, or None and the code of its error, None if it is empty."""
    if value is None:
        return None, None
    if isinstance(value, (bool, dict, list)):
        return None, "invalid_text"
    text = value if isinstance(value, str) else json.dumps(value)
    if is_empty(text):
        return None, None
    return (None, "invalid_encoding") if has_undecodable(text) else (text, None)
