"""What is attached to the items of chunks, as `lua/include/attachments.lua` writes and reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tasks.vocabulary.attachments import Attachment, decode_attachments, encode_attachments
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import ItemResult


def attachments_of(chunks: Sequence[Chunk], *, keep_texts: bool) -> tuple[list[int], list[bytes]]:
    """Return the starts of the chunks that have attachments, and these."""
    encoded = {chunk.start: encode_attachments(chunk.items, keep_texts=keep_texts) for chunk in chunks}
    found = {start: payload for start, payload in encoded.items() if payload}
    return list(found), list(found.values())


class AttachmentReader:
    """Completes items with their attachments, from the answers of one call of a script."""

    def __init__(self) -> None:
        self._known: dict[int, list[Attachment]] = {}

    def complete(self, items: Iterable[ItemResult], found: Sequence[Any] | None) -> Iterable[ItemResult]:
        """Return the items of a chunk with what is attached; `found` is what the script read for it."""
        if found is None:
            return items
        start, *payload = found
        if payload:
            self._known[start] = decode_attachments(payload[0])
        known = self._known[start]
        return [replace(item, **known[item.index - start]._asdict()) for item in items]
