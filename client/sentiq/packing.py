"""Items become lines, and lines become blocks of gzip."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

from sentiq.models import Item

_BLOCK_BYTES = 65536
# Items of a slow source are sent after that time, before the service takes silence for the end.
_MAX_DELAY_S = 5.0
# A service refuses what grows to more than 100 times its size.
_MAX_RATIO = 50


def packed(plain: bytes) -> bytes:
    """Return a block as a member of gzip, which is not compressed where a service would not take it."""
    member = gzip.compress(plain, 1, mtime=0)
    return member if len(member) * _MAX_RATIO > len(plain) else gzip.compress(plain, 0, mtime=0)


def line_of(item: str | Item) -> bytes:
    """Return an item as a line of NDJSON. Raises TypeError if it is neither a text nor an Item."""
    return _json(item if isinstance(item, str) else item_body(item))


def item_body(item: str | Item) -> dict[str, Any]:
    """Return an item as a member of a request. Raises TypeError if it is neither a text nor an Item."""
    if isinstance(item, str):
        return {"text": item}
    if not isinstance(item, Item):
        raise TypeError(f"submit str or sentiq.Item, not {type(item).__name__}")
    body = {"text": item.text, "id": item.id, "data": item.data, "aspects": item.aspects}
    return {name: value for name, value in body.items() if value is not None}


def _json(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


class Blocks:
    """Gathers bytes to blocks."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._size = 0
        self._since = 0.0

    def add(self, piece: bytes) -> bool:
        """Add a piece; return whether the block is due."""
        if not self.pieces:
            self._since = time.monotonic()
        self.pieces.append(piece)
        self._size += len(piece)
        return self._size >= _BLOCK_BYTES or time.monotonic() - self._since > _MAX_DELAY_S

    def take(self) -> bytes:
        """Return the pieces as one block, and begin another."""
        block, self.pieces, self._size = b"".join(self.pieces), [], 0
        return block
