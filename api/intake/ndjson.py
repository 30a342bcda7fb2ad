"""The lines of an upload as items."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from api.intake.documents import is_no_json, with_whole_characters
from api.intake.item_data import take_data_of_line
from api.intake.rejections import InvalidRequestError
from api.schemas.request_bodies import MAX_ID_CHARS, ItemIn
from api.waiting.pacing import let_others_run
from tasks.settings import Settings
from tasks.vocabulary.items import Item, ItemError

MEDIA_TYPES = (
    *("application/x-ndjson", "application/ndjson"),
    *("application/jsonl", "application/x-jsonl", "application/jsonlines", "application/x-jsonlines"),
)

_LINE: TypeAdapter[str | ItemIn] = TypeAdapter(str | ItemIn)
_LINES_BETWEEN_PAUSES = 16
_MAX_NUMBER = 2**63
# What is wrong with an item, by the field that pydantic names.
_FIELD_ERRORS = {
    "text": ItemError.INVALID_TEXT,
    "id": ItemError.INVALID_ID,
    "data": ItemError.INVALID_DATA,
    "aspects": ItemError.INVALID_ASPECTS,
}


def lines(stream: io.BufferedIOBase, max_bytes: int, max_blank: int) -> Iterator[bytes | None]:
    """Yield the lines of a stream but for blank ones; None stands for a line of more bytes than the limit.

    Raises InvalidRequestError for more blank lines than `max_blank`. Other requests run between lines.
    """
    number = blank = 0
    while line := stream.readline(max_bytes + 1):
        number += 1
        if number % _LINES_BETWEEN_PAUSES == 0:
            let_others_run()
        if len(line) > max_bytes and not line.endswith(b"\n"):
            _skip_line(stream, max_bytes)
            yield None
        elif stripped := line.removeprefix(codecs.BOM_UTF8).strip():
            yield stripped
        else:
            blank += 1
            if blank > max_blank:
                detail = f"at most {max_blank} blank lines are accepted in an upload."
                raise InvalidRequestError.at("", "too_many_lines", detail)


def _skip_line(stream: io.BufferedIOBase, max_bytes: int) -> None:
    while (rest := stream.readline(max_bytes)) and not rest.endswith(b"\n"):
        pass


def read_item(line: bytes | None, settings: Settings) -> Item:
    """Read an item object or a bare JSON string; a line that is neither becomes an item with an error.

    Its id and its data are kept where they can be read.
    """
    if line is None:
        return Item("", 0, None, ItemError.LINE_TOO_LONG)
    line, data = take_data_of_line(line)
    try:
        given = _read(line)
    except ValidationError as error:
        return _invalid(line, error, data)
    if isinstance(given, str):
        return Item.accept(given, settings.max_text_chars)
    accepted = Item.accept(given.text, settings.max_text_chars, given.id, data)
    return accepted._replace(aspects=tuple(given.aspects)) if given.aspects else accepted


def _read(line: bytes) -> str | ItemIn:
    try:
        return _LINE.validate_json(line, strict=True)
    except ValidationError as error:
        if not is_no_json(error):
            raise
    return _LINE.validate_json(with_whole_characters(line), strict=True)


def _invalid(line: bytes, error: ValidationError, data: bytes | None) -> Item:
    if is_no_json(error):
        return Item("", 0, None, _unreadable(line))
    given: Any = from_json(with_whole_characters(line))
    if not isinstance(given, dict):
        return Item("", 0, None, ItemError.INVALID_LINE)
    return Item("", 0, _readable_id(given.get("id")), _of_field(error.errors(include_url=False)), data)


def _unreadable(line: bytes) -> ItemError:
    try:
        line.decode()
    except UnicodeDecodeError:
        return ItemError.INVALID_ENCODING
    return ItemError.INVALID_JSON


def _of_field(errors: Sequence[ErrorDetails]) -> ItemError:
    """Return the error of the first field that is wrong: the text before others."""
    fields = {str(each["loc"][1]) for each in errors if each["loc"][0] == ItemIn.__name__}
    return next((error for name, error in _FIELD_ERRORS.items() if name in fields), ItemError.UNKNOWN_FIELD)


def _readable_id(given: object) -> str | None:
    """Return an id that names the line, though it may not be as it should."""
    if isinstance(given, int) and not isinstance(given, bool) and abs(given) < _MAX_NUMBER:
        return str(given)
    return given if isinstance(given, str) and 0 < len(given) <= MAX_ID_CHARS else None
