"""What is kept of a chunk for its caller alone, so no child reads it: `data`, texts and source indexes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from tasks.vocabulary.items import Item

MAX_DATA_BYTES = 2048  # of one item
MAX_JOB_DATA_BYTES = 256 * 1024 * 1024
# JSON holds no zero byte: it is written as an escape.
_SEPARATOR = b"\0"


class Attachment(NamedTuple):
    """What comes back with an item: its `data`, its text, and its index in the job that it retries."""

    data: bytes | None = None
    text: str | None = None
    source_index: int | None = None


def data_bytes(items: Sequence[Item]) -> int:
    """Return the number of bytes of `data` that the items carry, as they came."""
    return sum(len(item.data) for item in items if item.data)


def encode_attachments(items: Sequence[Item], *, keep_texts: bool = False) -> bytes:
    """Write what is attached to the items of a chunk, compressed together; nothing if there is nothing.

    The text of an item that cannot be scored is not kept.
    """
    head: dict[str, Any] = {}
    if keep_texts:
        head["texts"] = [item.text if item.error is None else None for item in items]
    if any(item.source_index is not None for item in items):
        head["sources"] = [item.source_index for item in items]
    if not head and not data_bytes(items):
        return b""
    return zlib.compress(_SEPARATOR.join([to_json(head), *(item.data or b"" for item in items)]))


def decode_attachments(payload: bytes) -> list[Attachment]:
    """Read what `encode_attachments` wrote, for each item."""
    written, *data = zlib.decompress(payload).split(_SEPARATOR)
    head, nothing = from_json(written), [None] * len(data)
    texts, sources = head.get("texts", nothing), head.get("sources", nothing)
    return [Attachment(each[0] or None, *each[1:]) for each in zip(data, texts, sources, strict=True)]
