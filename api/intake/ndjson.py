"""The bytes of an upload, perhaps compressed, into lines into items, with constant memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.intake.errors import BodyTooLargeError, InvalidGzipError, UnsupportedEncodingError
from api.schemas.request_bodies import ItemIn
from tasks.settings import Settings
from tasks.vocabulary.items import Item, ItemError

MEDIA_TYPE = "application/x-ndjson"

_INFLATED = 64 * 1024
_BOM = b"\xef\xbb\xbf"
_LINE: TypeAdapter[str | ItemIn] = TypeAdapter(str | ItemIn)


def decoded(received: Iterator[bytes], encoding: str, limit: int) -> Iterator[bytes]:
    """Yield a body decompressed; `encoding` is its Content-Encoding, the limit is one of decompressed bytes.

    Raises UnsupportedEncodingError, InvalidGzipError, BodyTooLargeError.
    """
    if encoding not in ("gzip", "identity"):
        raise UnsupportedEncodingError
    read = 0
    for block in _inflate(received) if encoding == "gzip" else received:
        read += len(block)
        if read > limit:
            raise BodyTooLargeError(limit)
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
        raise InvalidGzipError(str(error)) from error
    if member is not None:
        raise InvalidGzipError("its end is missing")


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
