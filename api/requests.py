"""What requests carry: bodies, preferences, ids."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Self

from flask import g, request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tasks.options import PLAIN, OnLongText, Options

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,30})(?:$|[,;\s])")

CallerId = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Body(BaseModel):
    """A silently ignored typo would be a bug."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ItemIn(_Body):
    """One text with the caller's own id, which need not be unique."""

    text: str
    id: CallerId | None = None


class JobIn(_Body):
    """Body of POST /v1/jobs: either one text or several items, and what to tell of them."""

    text: str | None = None
    items: list[ItemIn] | None = Field(None, min_length=1, fail_fast=True)
    on_long_text: OnLongText = PLAIN.on_long_text
    sentences: bool = PLAIN.sentences
    explain: bool = PLAIN.explain

    @property
    def options(self) -> Options:
        """What to tell of each text."""
        return Options(self.on_long_text, self.sentences, self.explain)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.text is None) == (self.items is None):
            message = "give either text or items"
            raise ValueError(message)
        return self


class PredictIn(_Body):
    """Body of POST /predict."""

    text: str


class PredictBatchIn(_Body):
    """Body of POST /predict_batch."""

    texts: list[str] = Field(min_length=1, fail_fast=True)


def request_id() -> str:
    """Return the caller's X-Request-Id, or one minted for this request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def preferred_wait(limit_s: float) -> float | None:
    """Return the seconds of `Prefer: wait=N`, at most the limit; None when not asked to wait."""
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(match[1]), limit_s) if match else None
