"""The rows of a CSV or TSV upload as items: one column is the text, the others are `data`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from pydantic_core import to_json

from api.intake.rejections import InvalidRequestError
from api.intake.rows import Row, RowReader
from tasks.vocabulary.attachments import MAX_DATA_BYTES
from tasks.vocabulary.items import Item, ItemError

_SHOWN_COLUMNS, _SHOWN_CHARS = 20, 40


class Table:
    """Rows below a header. `columns` are the names of all columns but the text, in order."""

    def __init__(self, rows: RowReader, text_column: str, max_text_chars: int) -> None:
        """Read the header. Raises InvalidRequestError if it does not fit, and what the rows raise."""
        self._rows = iter(rows)
        self._max_text_chars = max_text_chars
        header = next(self._rows, None)
        self.empty = header is None
        names = _names(header, rows.max_bytes) if header else [text_column]
        self._width = len(names)
        _require(text_column, names, "the header", "?text_column")
        self._text = names.index(text_column)
        self.columns = tuple(names[: self._text] + names[self._text + 1 :])
        if len(to_json(dict.fromkeys(self.columns, ""))) > MAX_DATA_BYTES:
            detail = f"the names of the columns leave no room: `data` has at most {MAX_DATA_BYTES} bytes."
            raise InvalidRequestError.at("", "invalid_header", detail)

    def require(self, column: str, pointer: str) -> None:
        """Raise InvalidRequestError, for the parameter that names it, if `data` has no such column."""
        if not self.empty:
            _require(column, self.columns, "`data`", pointer)

    def __iter__(self) -> Iterator[Item]:
        """Yield an item for each row; one that cannot be scored has the line of its row."""
        for row in self._rows:
            item = self._item(row)
            yield item if item.error is None else item._replace(line=row.line)

    def _item(self, row: Row) -> Item:
        cells = row.cells
        if isinstance(cells, ItemError):
            return Item("", 0, None, cells)
        if len(cells) != self._width:
            return Item("", 0, None, ItemError.INVALID_ROW)
        text = cells.pop(self._text)
        data = to_json(dict(zip(self.columns, cells, strict=True))) if cells else None
        if data and len(data) > MAX_DATA_BYTES:
            return Item("", len(text), None, ItemError.INVALID_DATA)
        return Item.accept(text, self._max_text_chars, None, data)


def _names(header: Row, max_bytes: int) -> list[str]:
    if isinstance(header.cells, ItemError):
        causes = {
            ItemError.INVALID_ROW: "it has text behind a closing quote, or a CR alone outside of quotes",
            ItemError.INVALID_ENCODING: "it is not in the charset of the upload",
            ItemError.LINE_TOO_LONG: f"it has more than {max_bytes} bytes",
        }
        detail = f"the header, in line {header.line}, cannot be read: {causes[header.cells]}."
        raise InvalidRequestError.at("", "invalid_header", detail)
    twice = [name for name, count in Counter(header.cells).items() if count > 1]
    if twice:
        detail = f"the header names a column more than once: {_listed(twice)}."
        raise InvalidRequestError.at("", "invalid_header", detail)
    return header.cells


def _require(column: str, names: Sequence[str], place: str, pointer: str) -> None:
    if column not in names:
        detail = f"{place} has no column {_listed([column])}; it has {_listed(names) or 'none'}."
        raise InvalidRequestError.at(pointer, "unknown_column", detail)


def _listed(names: Sequence[str]) -> str:
    """Return names for people: some of them, and not more than the beginning of a long one."""
    shown = (f"`{name[:_SHOWN_CHARS]}`" for name in names[:_SHOWN_COLUMNS])
    return ", ".join(chain(shown, ["…"] if len(names) > _SHOWN_COLUMNS else []))
