"""The rows of a CSV or TSV stream, read with constant memory. Quotes are those of RFC 4180."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from api.intake.rejections import InvalidRequestError, UnclosedQuoteError
from api.waiting.pacing import let_others_run
from tasks.vocabulary.items import ItemError


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stream is divided into cells: the delimiter, and the charset as Python names it.

    In each charset that is accepted, delimiters, quotes and line ends are the bytes of ASCII, which are no
    part of other characters.
    """

    delimiter: str
    charset: str = "utf-8"

    @property
    def byte_order_mark(self) -> bytes:
        """Return the bytes that may stand in front of the first row."""
        return "\ufeff".encode(self.charset)


class Row(NamedTuple):
    """The cells of a row, or why it cannot be read. `line` is the line where it begins, from 1."""

    line: int
    cells: list[str] | ItemError


class _Place(Enum):
    """Where the next byte of a row stands."""

    CELL_START = auto()
    PLAIN = auto()
    QUOTED = auto()
    AFTER_QUOTE = auto()  # behind a quote that closes the cell, unless another one follows


class _QuoteTracker:
    """Knows whether a quote is open behind the pieces of a row, and the line in which it opened."""

    def __init__(self, delimiter: bytes) -> None:
        self.opened_in = 0
        self._delimiter = delimiter
        self._tokens = re.compile(rb'"|%b|[^"%b]++' % (delimiter, delimiter))
        self._place = _Place.CELL_START

    @property
    def open(self) -> bool:
        """Return whether the row goes on behind a line end."""
        return self._place is _Place.QUOTED

    def read(self, piece: bytes, line: int) -> None:
        """Follow a further piece of the row, which stands in the line."""
        if b'"' not in piece and self.open:
            return
        for token in self._tokens.findall(piece):
            if token == b'"':
                self._read_quote(line)
            elif self._place is not _Place.QUOTED:
                self._place = _Place.CELL_START if token == self._delimiter else _Place.PLAIN

    def _read_quote(self, line: int) -> None:
        if self._place is _Place.QUOTED:
            self._place = _Place.AFTER_QUOTE
        elif self._place is _Place.CELL_START:
            self._place, self.opened_in = _Place.QUOTED, line
        elif self._place is _Place.AFTER_QUOTE:
            self._place = _Place.QUOTED


class RowReader:
    """Yields the rows of a stream but for blank lines. Other requests run between rows.

    A row of more bytes than `max_bytes` is passed over and has the error `line_too_long`. Raises
    InvalidRequestError for more blank lines than `max_blank`, UnclosedQuoteError where the stream ends inside
    of quotes, and what the stream raises.
    """

    def __init__(self, stream: io.BufferedIOBase, layout: Layout, max_bytes: int, max_blank: int) -> None:
        self._stream = stream
        self._layout = layout
        self._delimiter = layout.delimiter.encode()
        self.max_bytes = max_bytes
        self._max_blank = max_blank
        self._line = 1
        # The module's own limit is below a row that the settings may allow.
        csv.field_size_limit(max(csv.field_size_limit(), max_bytes))

    def __iter__(self) -> Iterator[Row]:
        """Continue behind the last row that was read."""
        blank = 0
        while piece := self._next_piece():
            line, raw = self._line, self._row_from(piece)
            if cells := self._cells(raw):
                yield Row(line, cells)
                continue
            blank += 1
            if blank > self._max_blank:
                detail = f"at most {self._max_blank} blank lines are accepted in an upload."
                raise InvalidRequestError.at("", "too_many_lines", detail)

    def _next_piece(self) -> bytes:
        """Return the next line with its end, or as much of it as a row may have."""
        let_others_run()
        piece = self._stream.readline(self.max_bytes + 1)
        return piece.removeprefix(self._layout.byte_order_mark) if self._line == 1 else piece

    def _row_from(self, piece: bytes) -> bytes | None:
        """Return the row that begins with a piece, without its line end; None if it is too long."""
        if b'"' not in piece and piece.endswith(b"\n"):
            self._line += 1
            return piece.removesuffix(b"\n").removesuffix(b"\r")
        pieces, size, quotes = list[bytes](), 0, _QuoteTracker(self._delimiter)
        while piece:
            size += len(piece)
            if size <= self.max_bytes + 1:
                pieces.append(piece)
            quotes.read(piece, self._line)
            ended = piece.endswith(b"\n")
            self._line += ended
            if ended and not quotes.open:
                break
            piece = self._next_piece()
        if quotes.open:
            raise UnclosedQuoteError(quotes.opened_in)
        row = b"".join(pieces).removesuffix(b"\n").removesuffix(b"\r")
        return None if size > self.max_bytes + 1 or len(row) > self.max_bytes else row

    def _cells(self, raw: bytes | None) -> list[str] | ItemError:
        """Return the cells of a row, none of a blank line."""
        if not raw:
            return ItemError.LINE_TOO_LONG if raw is None else []
        try:
            text = raw.decode(self._layout.charset)
        except UnicodeDecodeError:
            return ItemError.INVALID_ENCODING
        if '"' not in text and "\r" not in text:
            return text.split(self._layout.delimiter)
        try:
            return next(csv.reader([text], delimiter=self._layout.delimiter, strict=True))
        except csv.Error:
            return ItemError.INVALID_ROW
