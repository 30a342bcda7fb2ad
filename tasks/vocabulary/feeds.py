"""The feed of an upload: the request that adds items to a job, and proof of which items it has added."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from pydantic_core import to_json

from tasks.vocabulary.items import Item

# A request that adds nothing for this long feeds its upload no more: its process is gone.
SILENCE_MS = 60_000
# An upload that may be resumed stays open for this long without a new item.
RESUMABLE_MS = 600_000
_WRITER_BYTES = 9
_NOBODY = "-"  # `lua/include/feed.lua` knows it too


@dataclass(frozen=True, slots=True)
class Feed:
    """A request that feeds an upload, and how far it has come.

    `writer` is its fencing token: once another request has taken the upload, this one adds nothing more.
    `seed` is the hash of the terms that a request needs to resume the upload, `digest` that of the terms and
    of the first `recorded` items.
    """

    writer: str
    seed: str
    digest: str
    recorded: int = 0

    @classmethod
    def begin(cls, seed: str, *, resumable: bool) -> Self:
        """Return the feed of a new request with these terms."""
        return cls(secrets.token_hex(_WRITER_BYTES), seed if resumable else _NOBODY, seed)

    @property
    def resumable(self) -> bool:
        """Return whether another request may resume the upload."""
        return self.seed != _NOBODY

    @property
    def idle_timeout_ms(self) -> int:
        """Return after how long without a new item the reconciler closes the upload."""
        return RESUMABLE_MS if self.resumable else SILENCE_MS

    def behind(self, items: Iterable[Item]) -> Self:
        """Return the feed after further items. How they are cut into chunks makes no difference."""
        digest, count = bytes.fromhex(self.digest), 0
        for item in items:
            said = (item.text, item.chars, item.id, item.error, item.data, item.aspects)
            digest = hashlib.sha256(digest + to_json(said)).digest()
            count += 1
        return replace(self, digest=digest.hex(), recorded=self.recorded + count)
