"""The lines of an upload as items, read while they come in."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

from api.intake.decoding import DecodedBody
from api.intake.ndjson import lines, read_item
from api.intake.rejections import InvalidRequestError
from api.intake.validation import explain
from api.schemas.problems import FieldError
from api.schemas.queries import UploadQuery
from tasks.settings import Settings
from tasks.vocabulary.items import Item

_BUFFER_BYTES = 64 * 1024
_MAX_ERRORS = 100


class Upload:
    """One body of lines with the terms of its query, hashed together."""

    def __init__(self, body: io.RawIOBase, encoding: str, query: UploadQuery, settings: Settings) -> None:
        self._settings = settings
        self._strict = query.strict
        self._hash = hashlib.sha256(f"upload {query.model_dump_json()}\n".encode())
        decoded = DecodedBody(body, encoding, settings.max_upload_bytes, self._hash)
        self._stream = io.BufferedReader(decoded, _BUFFER_BYTES)
        self._errors: list[FieldError] = []

    def digest(self) -> str:
        """Return the hash of the terms and of all that was read."""
        return self._hash.hexdigest()

    def items(self) -> Iterator[Item]:
        """Yield an item for each line. Raises InvalidRequestError if they cannot become a job."""
        number, most = -1, self._settings.max_upload_items
        for number, line in enumerate(lines(self._stream, self._settings.max_line_bytes, most)):
            if number == most:
                detail = f"at most {number} items are accepted in an upload."
                raise InvalidRequestError.at("", "too_many_items", detail)
            item = read_item(line, self._settings)
            if self._strict and item.error is not None:
                self._note(number, item)
            if not self._errors:
                yield item
        if self._errors:
            raise InvalidRequestError(self._errors)
        if number < 0:
            raise InvalidRequestError.at("", "no_items", "give at least one line.")

    def _note(self, number: int, item: Item) -> None:
        if item.error is not None:
            detail = explain(item, item.error, self._settings)
            self._errors.append({"pointer": f"/{number}", "code": item.error, "detail": detail})
        if len(self._errors) == _MAX_ERRORS:
            raise InvalidRequestError(self._errors)
