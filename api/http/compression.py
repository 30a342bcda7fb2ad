"""gzip for responses that are long: results are text that repeats itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from flask import request

# The cheapest level: it takes a few milliseconds a megabyte, and higher ones gain little on results.
_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_MIN_BYTES = 1024


def accepts_gzip() -> bool:
    """Return whether the caller reads gzip."""
    return request.accept_encodings.quality("gzip") > 0


def packed(blocks: Iterable[bytes]) -> tuple[Iterable[bytes], dict[str, str]]:
    """Return the blocks of a body with its headers, as gzip if the caller reads it, and it is worth it.

    A body of several blocks is; the first one is made here.
    """
    headers, rest = {"Vary": "Accept-Encoding"}, iter(blocks)
    first = next(rest, b"")
    whole = chain([first], rest)
    if accepts_gzip() and len(first) >= _MIN_BYTES:
        return gzipped(whole, at_once=False), headers | {"Content-Encoding": "gzip"}
    return whole, headers


def gzipped(blocks: Iterable[bytes], *, at_once: bool) -> Iterator[bytes]:
    """Yield blocks as one stream of gzip.

    `at_once`: what goes in comes out before the next block is asked for, so that nothing is held back.
    """
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    for block in blocks:
        packed = packer.compress(block)
        if at_once:
            packed += packer.flush(zlib.Z_SYNC_FLUSH)
        if packed:
            yield packed
    yield packer.flush()
