"""What is kept of chunks beside their texts, as `lua/include/attachments.lua` writes and reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tasks.vocabulary.attachments import decode_data, encode_data
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import ItemResult


def attachments_of(chunks: Sequence[Chunk]) -> tuple[list[tuple[str, int]], list[bytes]]:
    """Return part and start of what is kept beside these chunks, and its payloads."""
    data = {chunk.start: payload for chunk in chunks if (payload := encode_data(chunk.items))}
    return [(":data", start) for start in data], list(data.values())


class AttachmentReader:
    """Adds to items what is kept beside their chunks, from the answers of one call of a script."""

    def __init__(self) -> None:
        self._data: dict[int, list[bytes | None]] = {}

    def complete(self, items: Iterable[ItemResult], found: Sequence[Any] | None) -> Iterable[ItemResult]:
        """Return the items of a chunk with their `data`; `found` is what the script read for the chunk."""
        if found is None:
            return items
        origin, *payload = found
        if payload:
            self._data[origin] = decode_data(payload[0])
        data = self._data[origin]
        return [replace(item, data=data[item.index - origin]) for item in items]
