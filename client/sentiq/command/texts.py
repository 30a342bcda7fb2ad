"""The texts of a table as lines for an upload, in jobs of at most what the service takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from sentiq.tables.table import Table

# The lines of a block that is sent at once.
_BLOCK_BYTES = 64 * 1024
# A job is closed before the service's limit on bytes: its own count includes what we do not see.
_SHARE_OF_BYTES = 0.95


@dataclass(frozen=True)
class Limits:
    """How many items and bytes one upload may have."""

    items: int
    bytes: int

    @classmethod
    def of(cls, limits: dict[str, float]) -> Limits:
        """Return the limits that `/v1/info` names."""
        return cls(int(limits["max_upload_items"]), int(limits["max_upload_bytes"] * _SHARE_OF_BYTES))


class Lines:
    """Lines of one job: the texts from `first` on, as many as the limits allow.

    After a whole pass `items` is their number, and `more` says whether texts are left for another job. A pass
    from a later item on counts the items before it too, so that it ends at the same text.
    """

    def __init__(self, table: Table, first: int, limits: Limits, on_text: Callable[[int], None]) -> None:
        self.items = 0
        self.more = False
        self._table = table
        self._first = first
        self._limits = limits
        self._on_text = on_text

    def blocks(self, start: int) -> Iterator[bytes]:
        """Yield the lines from the item `start` of the job on, in blocks."""
        block: list[bytes] = []
        size = 0
        for number, line in enumerate(self._lines()):
            self._on_text(self._first + number)
            if number < start:
                continue
            block.append(line)
            size += len(line)
            if size >= _BLOCK_BYTES:
                yield b"".join(block)
                block, size = [], 0
        if block:
            yield b"".join(block)

    def count(self) -> None:
        """Make a pass that sends nothing."""
        for _ in self._lines():
            pass

    def _lines(self) -> Iterator[bytes]:
        self.items, self.more = 0, False
        size = 0
        texts = (row.text for row in self._table.rows() if row.text is not None)
        for text in islice(texts, self._first, None):
            line = _line(text)
            size += len(line)
            if self.items == self._limits.items or (size > self._limits.bytes and self.items):
                self.more = True
                return
            self.items += 1
            yield line


def _line(text: str) -> bytes:
    try:
        return json.dumps(text, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair; the service reads its escape as U+FFFD
        return json.dumps(text).encode() + b"\n"
