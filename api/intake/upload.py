"""The lines of an upload as items: the job grows while they come in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from api.intake.errors import InvalidRequestError
from api.intake.ndjson import lines, read_item
from api.intake.validation import explain
from api.schemas.problems import FieldError
from tasks.settings import Settings
from tasks.vocabulary.items import Item

_MAX_ERRORS = 100


class Upload:
    """One body of lines, hashed as it is read; `terms` are hashed with it. A strict one has no bad line."""

    def __init__(self, blocks: Iterator[bytes], settings: Settings, terms: str, *, strict: bool) -> None:
        self._blocks = blocks
        self._settings = settings
        self._strict = strict
        self._hash = hashlib.sha256(f"upload {terms} {strict}\n".encode())
        self._errors: list[FieldError] = []

    def digest(self) -> str:
        """Return the hash of what was read."""
        return self._hash.hexdigest()

    def items(self) -> Iterator[Item]:
        """Yield one item a line. Raises InvalidRequestError if they cannot become a job."""
        number = -1
        for number, line in enumerate(lines(self._hashed(), self._settings.max_line_bytes)):
            if number == self._settings.max_upload_items:
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

    def _hashed(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._hash.update(block)
            yield block

    def _note(self, number: int, item: Item) -> None:
        if item.error is not None:
            detail = explain(item, item.error, self._settings)
            self._errors.append({"pointer": f"/{number}", "code": item.error, "detail": detail})
        if len(self._errors) == _MAX_ERRORS:
            raise InvalidRequestError(self._errors)
