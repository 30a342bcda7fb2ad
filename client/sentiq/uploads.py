"""Submits texts and uploads bytes. One that is cut is resumed with its key: one job, each item once."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterable, Generator, Iterable, Mapping
from contextlib import closing
from typing import Any

from sentiq import calls
from sentiq.bodies import Chunks, Lines
from sentiq.effects import Pull, Reply, Steps
from sentiq.errors import BadRequestError, SentiqConnectionError, SentiqError, UploadError
from sentiq.models import Item
from sentiq.packing import item_body
from sentiq.reading import counts_of, json_of
from sentiq.retries import Patience, answered, passes, sent

# These say that the request broke off, not that it is wrong.
_CUT = {"upload_incomplete", "invalid_gzip", "body_timeout", "body_unreadable"}
_RESUMABLE = {*_CUT, "upload_offset"}

_KEY = re.compile(r"[!-~]{1,255}")

# As many texts as a job may have that is interactive by its size.
_FEW = 32
_MAX_DOCUMENT_BYTES = 1024 * 1024


def new_key() -> str:
    """Return an idempotency key of our own."""
    return uuid.uuid4().hex


def key_of(given: str | None) -> str:
    """Return the caller's idempotency key, or one of our own. Raises BadRequestError if it is none."""
    if given is None:
        return new_key()
    if not _KEY.fullmatch(given):
        raise BadRequestError("idempotency_key is not 1 to 255 visible ASCII characters.")
    return given


def submitted(
    body: Mapping[str, Any], key: str, retry_for: float, wait_s: float = 0
) -> Steps[dict[str, Any]]:
    """Submit one JSON document; return the job."""
    return json_of((yield from answered(calls.submit(body, key, wait_s), retry_for)))


def one_body(item: str | Item, terms: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a job of one text."""
    return {**terms, "items": [item_body(item)]}


def submitted_many(
    source: Iterable[Any] | AsyncIterable[Any], key: str, terms: Mapping[str, Any], retry_for: float
) -> Steps[dict[str, Any]]:
    """Submit the items of an iterator, which Pull reads too; return the job.

    A few are one document, so that the service may take them as interactive; many are an upload.
    """
    first = yield Pull(_FEW + 1)
    if len(first) <= _FEW:
        body = {**terms, "items": [item_body(item) for item in first]}
        if len(calls.encoded(body)) <= _MAX_DOCUMENT_BYTES:
            return (yield from submitted(body, key, retry_for))
    with closing(Lines(source, first)) as lines:
        return (yield from uploaded_lines(lines, key, terms, retry_for))


def uploaded_lines(
    lines: Lines, key: str, terms: Mapping[str, Any], retry_for: float
) -> Steps[dict[str, Any]]:
    """Upload items as one job, and resume the upload where it was cut; return the job."""
    patience, query, recorded = Patience(retry_for), calls.terms_query(terms), 0
    while True:
        lines.begin_at(recorded)
        rest = (*query, ("from_index", str(recorded))) if recorded else query
        try:
            return json_of((yield from sent(calls.upload(calls.NDJSON, rest, key, lines))))
        except SentiqError as error:
            if not (passes(error) or error.code in _RESUMABLE):
                raise
            pause = patience.pause(error)
        yield pause
        job = yield from _recorded_job(calls.NDJSON, query, key, retry_for)
        total = counts_of(job).total if job else 0
        if job and not job.get("uploading") and lines.exhausted and total == lines.read:
            return job  # it was the answer that got lost
        if total > recorded:
            patience.renew()
        recorded = total


def _recorded_job(
    content_type: str, query: calls.Query, key: str, retry_for: float
) -> Generator[Any, Any, dict[str, Any] | None]:
    """Return the job of an upload; None if nothing of it is recorded."""
    try:
        return json_of((yield from answered(calls.ask_recorded(content_type, query, key), retry_for)))
    except BadRequestError as error:
        if any(each.get("code") == "no_items" for each in error.errors):
            return None
        raise


def recorded_items(content_type: str, query: calls.Query, key: str, retry_for: float) -> Steps[int]:
    """Return how many items of an upload are recorded."""
    job = yield from _recorded_job(content_type, query, key, retry_for)
    return counts_of(job).total if job else 0


def uploaded_bytes(
    chunks: Chunks, content_type: str, query: calls.Query, key: str, retry_for: float
) -> Steps[dict[str, Any]]:
    """Upload bytes as one job; return the job. Those that can be sent again are, from their beginning."""
    patience = Patience(retry_for)
    while True:
        try:
            reply: Reply = yield from sent(calls.upload(content_type, query, key, chunks))
            return json_of(reply)
        except SentiqError as error:
            if not (passes(error) or error.code in _CUT):
                raise
            if not chunks.repeatable:
                raise _interrupted(error, key) from None
            pause = patience.pause(error)
        yield pause


def _interrupted(error: SentiqError, key: str) -> UploadError:
    """Return the error of an upload that only the caller can resume."""
    return UploadError(
        f"{error.detail} The chunks cannot be read again: ask `recorded` with the idempotency key {key}, "
        "and upload the rest with `from_index`.",
        code="upload_incomplete" if isinstance(error, SentiqConnectionError) else error.code,
        status=error.status,
        errors=error.errors,
        request_id=error.request_id,
        retry_after=error.retry_after,
        problem={**error.problem, "idempotency_key": key},
    )
