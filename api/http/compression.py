"""gzip for responses that are long: results are text that repeats itself."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator

from flask import Response, request

# The cheapest level: it takes a few milliseconds a megabyte, and higher ones gain little on results.
_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_MIN_BYTES = 1024


def accepts_gzip() -> bool:
    """Return whether the caller reads gzip."""
    return request.accept_encodings.quality("gzip") > 0


def compress_body(response: Response) -> Response:
    """Compress a response that is at hand if the caller reads gzip, and it is worth it."""
    response.vary.add("Accept-Encoding")
    body = response.get_data()
    if accepts_gzip() and len(body) >= _MIN_BYTES:
        response.set_data(gzip.compress(body, _LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


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
