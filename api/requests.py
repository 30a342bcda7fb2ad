"""What requests carry: bodies, preferences, ids."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Self

from flask import g, request
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator

from tasks.jobs import QueueClass, Terms
from tasks.options import PLAIN, OnLongText, Options
from tasks.settings import LEAST_TTL_S, MOST_DEADLINE_S, MOST_TTL_S
from tasks.webhooks import Event

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,30})(?:$|[,;\s])")

MOST_METADATA = 16
MOST_LOOKED_UP = 500

CallerId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class _Body(BaseModel):
    """A silently ignored typo would be a bug."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ItemIn(_Body):
    """One text with the caller's own id, which need not be unique."""

    text: str
    id: CallerId | None = None


class WebhookIn(_Body):
    """Where to tell that the job is over, and which ends to tell of."""

    url: HttpUrl
    events: list[Event] = Field(list(Event), min_length=1)


class TermsIn(_Body):
    """What a job may ask for beside the verdicts on its texts."""

    on_long_text: OnLongText = PLAIN.on_long_text
    sentences: bool = PLAIN.sentences
    explain: bool = PLAIN.explain
    priority: QueueClass | None = None
    deadline_s: int | None = Field(None, ge=1, le=MOST_DEADLINE_S)
    result_ttl_s: int | None = Field(None, ge=LEAST_TTL_S, le=MOST_TTL_S)
    metadata: dict[MetadataName, MetadataValue] = Field(default_factory=dict, max_length=MOST_METADATA)
    webhook: WebhookIn | None = None

    def terms(self, owner: str) -> Terms:
        """Return the terms of the caller's job."""
        return Terms(
            options=Options(self.on_long_text, self.sentences, self.explain),
            queue_class=self.priority,
            deadline_s=self.deadline_s,
            result_ttl_s=self.result_ttl_s,
            metadata=self.metadata,
            owner=owner,
        )


class JobIn(TermsIn):
    """Body of POST /v1/jobs: either one text or several items, and the terms."""

    text: str | None = None
    items: list[ItemIn] | None = Field(None, min_length=1, fail_fast=True)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.text is None) == (self.items is None):
            message = "give either text or items"
            raise ValueError(message)
        return self


class LookupIn(_Body):
    """Body of POST /v1/jobs/lookup."""

    ids: list[Annotated[str, StringConstraints(max_length=256)]] = Field(
        min_length=1, max_length=MOST_LOOKED_UP, fail_fast=True
    )


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


def owner() -> str:
    """Return whose jobs the caller may see; empty as long as there are no keys."""
    return str(g.get("owner", ""))


def preferred_wait(limit_s: float) -> float | None:
    """Return the seconds of `Prefer: wait=N`, at most the limit; None when not asked to wait."""
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(match[1]), limit_s) if match else None
