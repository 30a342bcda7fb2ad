"""Reads what the service sends. Fields of newer versions are passed over; a missing one is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sentiq.effects import Reply
from sentiq.errors import IncompatibleServiceError
from sentiq.models import Counts, ItemError, Verdict

_NEEDED = "0.1.0"


def json_of(reply: Reply) -> dict[str, Any]:
    """Return the JSON object of a response. Raises IncompatibleServiceError if it is none."""
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise IncompatibleServiceError(
            "The response is no JSON object: is this the address of a Sentiq service?", status=reply.status
        )
    return body


def field(body: Mapping[str, Any], name: str) -> Any:
    """Return a field that every service has since the version that this client needs."""
    try:
        return body[name]
    except KeyError:
        kind = body.get("object", "response")
        raise IncompatibleServiceError(
            f"A {kind} has no `{name}`: this client needs a service of Sentiq {_NEEDED} or later."
        ) from None


def counts_of(body: Mapping[str, Any]) -> Counts:
    """Return the counts of a job."""
    counts = field(body, "counts")
    names = ("total", "pending", "succeeded", "failed", "canceled", "timed_out")
    return Counts(**{name: field(counts, name) for name in names})


def verdict_of(item: Mapping[str, Any], index: int | None = None) -> Verdict:
    """Return an item of results as a Verdict, with another index if one is given."""
    error = item.get("error")
    return Verdict(
        index=field(item, "index") if index is None else index,
        status=field(item, "status"),
        id=item.get("id"),
        label=item.get("label"),
        label_zh=item.get("label_zh"),
        confidence=item.get("confidence"),
        score=item.get("score"),
        positive_prob=item.get("positive_prob"),
        negative_prob=item.get("negative_prob"),
        probabilities=item.get("probabilities"),
        uncertain=item.get("uncertain"),
        unfamiliar=item.get("unfamiliar"),
        truncated=item.get("truncated"),
        model=item.get("model"),
        error=error and ItemError(field(error, "code"), error.get("message", ""), error.get("line")),
        data=item.get("data"),
        text=item.get("text"),
        source_index=item.get("source_index"),
        aspects=item.get("aspects"),
        sentences=item.get("sentences"),
        highlights=item.get("highlights"),
        raw=item,
    )
