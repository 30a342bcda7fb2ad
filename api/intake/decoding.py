"""A request's body as it comes in, decompressed and held to limits, with constant memory."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

from api.intake.rejections import (
    BodyTooLargeError,
    ExcessiveCompressionError,
    InvalidGzipError,
    TruncatedGzipError,
    UnsupportedEncodingError,
)
from api.waiting.pacing import let_others_run

# Texts compress to a tenth or so, and a hundredth if they repeat; gzip alone could reach a thousandth.
MAX_INFLATION = 100
_FREE_BYTES = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_ENCODINGS = ("gzip", "x-gzip", "identity", "")


class _Arriving:
    """The received bytes, counted and held to `max_bytes`, for GzipFile or as they are.

    It has no buffer: many bodies may be awaited at once.
    """

    def __init__(self, body: io.RawIOBase, max_bytes: int) -> None:
        self.count = 0
        self._body = body
        self._left = b""
        self._max_bytes = max_bytes

    def begins_with(self, magic: bytes) -> bool:
        """Return whether the body begins with these bytes."""
        self._gather(len(magic))
        return self._left.startswith(magic)

    def read(self, size: int = -1) -> bytes:
        """Read what has arrived if `size` is large; exactly `size` bytes of a gzip header, which is small."""
        if size >= io.DEFAULT_BUFFER_SIZE:
            return self.read1(size)
        self._gather(size)
        return self._counted(self._taken(size))

    def read1(self, size: int) -> bytes:
        """Read what has arrived, up to `size` bytes and one block; b"" at the end."""
        self._gather(1)
        return self._counted(self._taken(size))

    def _gather(self, size: int) -> None:
        while len(self._left) < size and (block := self._body.read(io.DEFAULT_BUFFER_SIZE)):
            self._left += block

    def _taken(self, size: int) -> bytes:
        block, self._left = self._left[:size], self._left[size:]
        return block

    def _counted(self, block: bytes) -> bytes:
        let_others_run()
        self.count += len(block)
        if self.count > self._max_bytes:
            raise BodyTooLargeError(self._max_bytes)
        return block


class DecodedBody(io.RawIOBase):
    """A body, decompressed and held to `max_bytes`. gzip is recognised by its first bytes too.

    A read raises InvalidGzipError, BodyTooLargeError, ExcessiveCompressionError, or what the body raises.
    Other requests run between two reads.
    """

    def __init__(self, body: io.RawIOBase, encoding: str, max_bytes: int) -> None:
        """Raise UnsupportedEncodingError if `encoding`, a Content-Encoding, is unknown."""
        if encoding.strip().lower() not in _ENCODINGS:
            raise UnsupportedEncodingError
        self._encoding = encoding.strip().lower()
        self._arriving = _Arriving(body, max_bytes)
        self._source: Any = None
        self._max_bytes = max_bytes
        self._inflated = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a part of the buffer; return how many bytes, 0 at the end."""
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        if size < 0:
            return self.readall()
        let_others_run()
        if self._source is None:
            self._source = self._begin()
        try:
            block: bytes = self._source(size)
        except EOFError as error:
            raise TruncatedGzipError(str(error)) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise InvalidGzipError(str(error)) from error
        self._check(len(block))
        return block

    def _begin(self) -> Any:
        """Return the function that reads decompressed bytes."""
        if "gzip" not in self._encoding and not self._arriving.begins_with(_GZIP_MAGIC):
            return self._arriving.read1
        arriving: Any = self._arriving
        return gzip.GzipFile(fileobj=arriving).read1

    def _check(self, size: int) -> None:
        self._inflated += size
        if self._inflated > self._max_bytes:
            raise BodyTooLargeError(self._max_bytes)
        if self._inflated > _FREE_BYTES + MAX_INFLATION * self._arriving.count:
            raise ExcessiveCompressionError(MAX_INFLATION)
