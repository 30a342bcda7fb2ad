"""The bytes of an upload, perhaps compressed, into lines into items, with constant memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from flask import request
from pydantic import TypeAdapter, ValidationError

from api.http.problems import Problem
from api.schemas.request_bodies import ItemIn
from tasks.errors import UploadIncompleteError
from tasks.settings import Settings
from tasks.store.uploads import IDLE_TIMEOUT_MS
from tasks.vocabulary.items import Item, ItemError

_BLOCK = 8 * 1024
_INFLATED = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_LINE: TypeAdapter[str | ItemIn] = TypeAdapter(str | ItemIn)


def blocks(limit: int) -> Iterator[bytes]:
    """Yield the request's body, decompressed. Raises UploadCutError, or the Problem that is wrong with it."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("gzip", "identity"):
        raise Problem(415, "unsupported_encoding", "Send the body as it is, or with Content-Encoding: gzip.")
    read = 0
    for block in _inflate(_received()) if encoding == "gzip" else _received():
        read += len(block)
        if read > limit:
            raise Problem(413, "body_too_large", f"At most {limit} bytes are accepted in an upload.")
        yield block


def lines(stream: Iterator[bytes], limit: int) -> Iterator[bytes | None]:
    """Cut a stream into lines without blank ones; None stands for a line of more bytes than the limit."""
    rest, too_long = b"", False
    for block in stream:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield from _line(line, limit, too_long=too_long)
            too_long = False
        if len(rest) > limit:
            rest, too_long = b"", True
    yield from _line(rest, limit, too_long=too_long)


def read_item(line: bytes | None, settings: Settings) -> Item:
    """Read an item object or a bare JSON string; what is neither becomes an item that says why."""
    if line is None:
        return Item("", 0, None, ItemError.INVALID_LINE)
    try:
        given = _LINE.validate_json(line, strict=True)
    except ValidationError:
        return Item("", 0, None, _why_unreadable(line))
    if isinstance(given, str):
        return Item.accept(given, settings.max_text_chars)
    return Item.accept(given.text, settings.max_text_chars, given.id)


def _received() -> Iterator[bytes]:
    """Yield the body as it comes in; it is measured, as gunicorn ends one that was cut like a whole one."""
    source, expected, read = request.environ["wsgi.input"], request.content_length, 0
    # Whoever says nothing for so long has nobody's job any more, and is to hold no connection either.
    request.environ["gunicorn.socket"].settimeout(IDLE_TIMEOUT_MS / 1000)
    while expected is None or read < expected:
        try:
            block = source.read(_BLOCK)
        except Exception as error:  # of the socket, or gunicorn's own for a body in chunks
            raise UploadIncompleteError(str(error)) from error
        if not block:
            break
        read += len(block)
        yield block
    if expected is not None and read < expected:
        raise UploadIncompleteError(f"{read} of {expected} bytes came")


def _inflate(stream: Iterator[bytes]) -> Iterator[bytes]:
    member: Any = None
    try:
        for block in stream:
            left, full = block, False
            while left or full:
                member = member or zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                inflated = member.decompress(left, _INFLATED)
                yield inflated
                left, full = member.unconsumed_tail or member.unused_data, len(inflated) == _INFLATED
                if member.eof:
                    member, full = None, False
    except zlib.error as error:
        raise Problem(400, "invalid_gzip", f"The body is not gzip: {error}.") from error
    if member is not None:
        raise Problem(400, "invalid_gzip", "The body is gzip, but its end is missing.")


def _line(line: bytes, limit: int, *, too_long: bool) -> Iterator[bytes | None]:
    if too_long or len(line) > limit:
        yield None
    elif line and (stripped := line.removeprefix(_BOM).strip()):
        yield stripped


def _why_unreadable(line: bytes) -> ItemError:
    try:
        line.decode()
    except UnicodeDecodeError:
        return ItemError.INVALID_ENCODING
    return ItemError.INVALID_LINE
