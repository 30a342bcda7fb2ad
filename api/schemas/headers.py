"""Request headers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MAX_PREFER_CHARS = 1000

Prefer = Annotated[str, Field(max_length=MAX_PREFER_CHARS)]
IdempotencyKeyText = Annotated[str, Field(max_length=255, pattern=r"^[\x21-\x7e]{1,255}$")]
EventId = Annotated[str, Field(max_length=64)]
