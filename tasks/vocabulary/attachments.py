"""What is kept of a chunk for its caller alone: the `data` of its items, which no child reads."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from tasks.vocabulary.items import Item

MAX_DATA_BYTES = 2048  # of one item
MAX_JOB_DATA_BYTES = 256 * 1024 * 1024
# JSON holds no zero byte: it is written as an escape.
_SEPARATOR = b"\0"


def data_bytes(items: Sequence[Item]) -> int:
    """Return the number of bytes of `data` that the items carry, as they came."""
    return sum(len(item.data) for item in items if item.data)


def encode_data(items: Sequence[Item]) -> bytes:
    """Write the `data` of the items of a chunk, compressed together; nothing where none has any."""
    if not data_bytes(items):
        return b""
    return zlib.compress(_SEPARATOR.join(item.data or b"" for item in items))


def decode_data(payload: bytes) -> list[bytes | None]:
    """Read what `encode_data` wrote: the `data` of each item, None of those without."""
    return [data or None for data in zlib.decompress(payload).split(_SEPARATOR)]
