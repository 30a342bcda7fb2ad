"""The bytes of an upload, perhaps compressed, as lines and items, with constant memory."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.intake.rejections import BodyTooLargeError, InvalidGzipError, UnsupportedEncodingError
from api.schemas.request_bodies import ItemIn
from tasks.settings import Settings
from tasks.vocabulary.items import Item, ItemError

MEDIA_TYPE = "application/x-ndjson"

_BOM = b"\xef\xbb\xbf"
_LINE: TypeAdapter[str | ItemIn] = TypeAdapter(str | ItemIn)


class _Arriving:
    """A body for GzipFile: a large read returns what has arrived instead of waiting for all of it."""

    def __init__(self, received: Any) -> None:
        self._received = received

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes; exactly as many of a gzip header or trailer, which are small."""
        read = self._received.read1 if size >= io.DEFAULT_BUFFER_SIZE else self._received.read
        block: bytes = read(size)
        return block


def _gunzipped(received: Any) -> gzip.GzipFile:
    arriving: Any = _Arriving(received)
    return gzip.GzipFile(fileobj=arriving)


class DecodedBody(io.RawIOBase):
    """A body, decompressed, added to a hash and held to `max_bytes`.

    A read raises InvalidGzipError, BodyTooLargeError, or what the body raises.
    """

    def __init__(self, body: io.RawIOBase, encoding: str, max_bytes: int, digest: Any) -> None:
        """Raise UnsupportedEncodingError if `encoding`, a Content-Encoding, is unknown."""
        if encoding not in ("gzip", "identity"):
            raise UnsupportedEncodingError
        received = io.BufferedReader(body)
        gzipped = encoding == "gzip"
        self._source: Any = _gunzipped(received) if gzipped else received
        self._max_bytes = self._left = max_bytes
        self._digest = digest

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer; return how many bytes, 0 at the end."""
        try:
            block = self._source.read1(len(buffer))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InvalidGzipError(str(error)) from error
        self._left -= len(block)
        if self._left < 0:
            raise BodyTooLargeError(self._max_bytes)
        self._digest.update(block)
        buffer[: len(block)] = block
        return len(block)


def lines(stream: io.BufferedIOBase, max_bytes: int) -> Iterator[bytes | None]:
    """Yield the lines of a stream but for blank ones; None stands for a line of more bytes than the limit."""
    while line := stream.readline(max_bytes + 1):
        if len(line) <= max_bytes or line.endswith(b"\n"):
            if stripped := line.removeprefix(_BOM).strip():
                yield stripped
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(max_bytes)
        yield None


def read_item(line: bytes | None, settings: Settings) -> Item:
    """Read an item object or a bare JSON string; a line that is neither becomes an item with an error."""
    if line is None:
        return Item("", 0, None, ItemError.INVALID_LINE)
    try:
        given = _LINE.validate_json(line, strict=True)
    except ValidationError:
        return Item("", 0, None, _error_of(line))
    if isinstance(given, str):
        return Item.accept(given, settings.max_text_chars)
    return Item.accept(given.text, settings.max_text_chars, given.id)


def _error_of(line: bytes) -> ItemError:
    try:
        line.decode()
    except UnicodeDecodeError:
        return ItemError.INVALID_ENCODING
    return ItemError.INVALID_LINE
