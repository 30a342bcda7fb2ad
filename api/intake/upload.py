"""The lines or rows of an upload as items, read while they come in."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from pydantic_core import to_json

from api.intake.decoding import DecodedBody
from api.intake.ndjson import lines, read_item
from api.intake.rejections import InvalidRequestError
from api.intake.rows import Layout, RowReader
from api.intake.streams import Source
from api.intake.table import Table
from api.schemas.queries import UploadQuery
from tasks.settings import Settings
from tasks.store.idempotency import digest
from tasks.vocabulary.items import Item

DEFAULT_TEXT_COLUMN = "text"
_BUFFER_BYTES = 16 * 1024


class Upload:
    """One body with the terms of its query: rows in a layout, or lines where there is none.

    `columns` are those of rows, without the column of the text.
    """

    def __init__(
        self,
        body: io.RawIOBase,
        encoding: str,
        query: UploadQuery,
        settings: Settings,
        layout: Layout | None = None,
    ) -> None:
        """Read the header of rows. Raises InvalidRequestError if it does not fit, or what the body raises."""
        self._settings = settings
        self._query = query
        decoded = DecodedBody(body, encoding, settings.max_upload_bytes)
        stream = io.BufferedReader(decoded, _BUFFER_BYTES)
        limits = settings.max_line_bytes, settings.max_upload_items
        self.columns: tuple[str, ...] = ()
        self._items: Iterable[Item] = (read_item(line, settings) for line in lines(stream, *limits))
        self._rows = layout is not None
        self._empty = False
        if layout:
            text_column = DEFAULT_TEXT_COLUMN if query.text_column is None else query.text_column
            table = Table(RowReader(stream, layout, *limits), text_column, settings.max_text_chars)
            if query.summarize_by is not None:
                table.require(query.summarize_by, "?summarize_by")
            self._items, self.columns, self._empty = table, table.columns, table.empty

    def source(self) -> Source:
        """Return the items, with the hash of their terms and columns."""
        if self._empty:
            return Source((), "")
        terms = self._query.model_dump_json(exclude={"from_index"}, exclude_defaults=True).encode()
        seed, first = digest(terms + to_json(self.columns)), self._query.from_index
        return Source(self.items(), seed, first, strict=self._query.strict, rows=self._rows)

    def items(self) -> Iterator[Item]:
        """Yield an item for each line or row. Raises InvalidRequestError for too many."""
        first, most = self._query.from_index or 0, self._settings.max_upload_items
        for number, item in enumerate(self._items, first):
            if number == most:
                detail = f"at most {number} items are accepted in an upload."
                raise InvalidRequestError.at("", "too_many_items", detail)
            yield item
