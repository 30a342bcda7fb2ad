"""The lines of an upload as items, read while they come in."""

from __future__ import annotations

import io
from collections.abc import Iterator

from api.intake.decoding import DecodedBody
from api.intake.ndjson import lines, read_item
from api.intake.rejections import InvalidRequestError
from api.intake.streams import Source
from api.intake.validation import explain
from api.schemas.problems import FieldError
from api.schemas.queries import UploadQuery
from tasks.settings import Settings
from tasks.store.idempotency import digest
from tasks.vocabulary.items import Item

_BUFFER_BYTES = 64 * 1024
_MAX_ERRORS = 100


class Upload:
    """One body of lines with the terms of its query."""

    def __init__(self, body: io.RawIOBase, encoding: str, query: UploadQuery, settings: Settings) -> None:
        self._settings = settings
        self._query = query
        decoded = DecodedBody(body, encoding, settings.max_upload_bytes)
        self._stream = io.BufferedReader(decoded, _BUFFER_BYTES)
        self._errors: list[FieldError] = []

    def source(self) -> Source:
        """Return the items of the lines, with the hash of their terms."""
        terms = self._query.model_dump_json(exclude={"from_index"}, exclude_defaults=True)
        return Source(self.items(), digest(f"upload {terms}".encode()), self._query.from_index)

    def items(self) -> Iterator[Item]:
        """Yield an item for each line. Raises InvalidRequestError if they cannot become a job."""
        first, most = self._query.from_index or 0, self._settings.max_upload_items
        for number, line in enumerate(lines(self._stream, self._settings.max_line_bytes, most), first):
            if number == most:
                detail = f"at most {number} items are accepted in an upload."
                raise InvalidRequestError.at("", "too_many_items", detail)
            item = read_item(line, self._settings)
            if self._query.strict and item.error is not None:
                self._note(number, item)
            if not self._errors:
                yield item
        if self._errors:
            raise InvalidRequestError(self._errors)

    def _note(self, number: int, item: Item) -> None:
        if item.error is not None:
            detail = explain(item, item.error, self._settings)
            self._errors.append({"pointer": f"/{number}", "code": item.error, "detail": detail})
        if len(self._errors) == _MAX_ERRORS:
            raise InvalidRequestError(self._errors)
