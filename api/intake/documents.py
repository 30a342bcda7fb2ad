"""JSON documents: bounded before anything is built from them, and read as leniently as JSON may be."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from api.intake.rejections import InvalidJsonError, InvalidRequestError
from api.waiting.pacing import let_others_run
from tasks.vocabulary.options import MAX_ASPECTS

Document = TypeVar("Document", bound=BaseModel)

_OPENERS = (b"{", b"[", b",")
# A string as a whole, even one without an end, or what structures a document outside of strings.
_TOKEN = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_LONGEST_NAME = 64
_TOKENS_BETWEEN_PAUSES = 4096
_MOST_PER_ITEM = 5 + MAX_ASPECTS  # an object, three commas, and an array of aspects
# Half of a surrogate pair; `\\` must not stand in the text.
_LONE_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def parse(model: type[Document], body: bytes, max_items: int) -> Document:
    """Return a document as a model.

    A byte order mark is skipped, and half of a surrogate pair reads as U+FFFD. Raises InvalidRequestError for
    many more values than `max_items` items have, InvalidJsonError, and ValidationError for wrong fields.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    refuse_too_many_values(body, max_items)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if not is_no_json(error):
            raise
        reason = _first(error)["msg"]
    try:
        return model.model_validate_json(with_whole_characters(body))
    except ValidationError as error:
        if not is_no_json(error):
            raise
    raise InvalidJsonError(_encoding_fault(body) or reason)


def is_no_json(error: ValidationError) -> bool:
    """Return whether the text is no JSON at all, rather than JSON that does not fit."""
    return error.error_count() == 1 and _first(error)["type"] == "json_invalid"


def with_whole_characters(body: bytes) -> bytes:
    """Return JSON in which escapes of half a surrogate pair are replaced by that of U+FFFD."""
    if b"\\u" not in body or b"\0" in body:
        return body  # without escapes, or no JSON: its zeros would be taken for backslashes
    unescaped = body.replace(rb"\\", b"\0\0")
    return _LONE_HALF.sub(rb"\\ufffd", unescaped).replace(b"\0\0", rb"\\")


def refuse_too_many_values(body: bytes, max_items: int) -> None:
    """Raise InvalidRequestError that names the field if a document has far more values than it may need.

    An item has few structural characters, and the terms of a job have less than 100. The check costs no more
    than reading the bytes; building the values first would take a hundred times their memory.
    """
    most = _MOST_PER_ITEM * max_items + 1000
    if sum(map(body.count, _OPENERS)) <= most:
        return
    count, path, name = 0, list[tuple[bytes, bytes]](), b""
    for number, token in enumerate(_TOKEN.finditer(body)):
        if number % _TOKENS_BETWEEN_PAUSES == 0:
            let_others_run()
        mark = token[0][:1]
        if mark == b'"':
            name = token[1]
        elif mark in (b"]", b"}"):
            del path[-1:]
            if not path:
                return  # the parser reads no further
        else:
            count += 1
            if mark != b",":
                path.append((mark, name))
        if count > most or number > 4 * most:
            detail = f"more than {most} values; at most {max_items} items are accepted in one request."
            raise InvalidRequestError.at(_pointer(path), "too_many_items", detail)


def _first(error: ValidationError) -> ErrorDetails:
    return error.errors(include_url=False, include_input=False)[0]


def _pointer(path: Sequence[tuple[bytes, bytes]]) -> str:
    """Return the JSON pointer to the first array on the way into a document, or to its innermost object."""
    parts = []
    for mark, name in path[1:]:
        parts.append(name[:_LONGEST_NAME].decode(errors="replace"))
        if mark == b"[":
            break
    return "".join(f"/{part}" for part in parts)


def _encoding_fault(body: bytes) -> str | None:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:4]:
        return "The body is UTF-16 or UTF-32; send UTF-8."
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"The body is not UTF-8 at byte {error.start}; send UTF-8."
    return None
