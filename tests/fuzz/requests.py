"""Ids, cursors and headers of requests, and the addresses of webhooks."""

from __future__ import annotations

import ipaddress
import socket

import flask
from pydantic import BaseModel, ConfigDict, HttpUrl, ValidationError

from api.http.problems import Problem
from api.http.request import idempotency_key, preferred_wait, request_id
from api.intake.rejections import InvalidRequestError
from api.intake.validation import accept_host
from api.schemas import queries
from tasks.settings import Settings
from tasks.store.idempotency import IdempotencyKey
from tasks.store.ids import JobIds
from tests.fuzz.target import CORPUS, BrokenPromiseError, Target

APP = flask.Flask("fuzz")
IDS = JobIds(b"a secret")
GENUINE = {path.read_text("ascii") for path in (CORPUS / "job_id").glob("genuine*")}
LIMIT_S = 30.0
CURSORS = [
    query
    for query in vars(queries).values()
    if isinstance(query, type) and issubclass(query, queries.Query) and "cursor" in query.model_fields
]


def job_id(data: bytes) -> None:
    """Check an id: only what was issued is genuine."""
    text = data.decode("utf-8", "surrogateescape")
    at = IDS.issued_at_ms(text)
    if at is not None and (text not in GENUINE or at < 0):
        raise BrokenPromiseError(f"{text!r} was issued at {at}")


def cursor(data: bytes) -> None:
    """Read a cursor by every query that has one; what it names is in the range of its numbers."""
    text = data.decode("utf-8", "replace")
    for model in CURSORS:
        try:
            query = model.model_validate({"cursor": text}, strict=False)
        except ValidationError:
            continue
        place = getattr(query, "place", None)
        if place is not None and any(number < 0 for number in place):
            raise BrokenPromiseError(f"{text!r} is {place}")


def header(data: bytes) -> None:
    """Read the headers that name a wait, a key, an id and media types."""
    value = data.decode("latin-1").translate(dict.fromkeys((0, 10, 13)))
    headers = dict.fromkeys(("Prefer", "Idempotency-Key", "X-Request-Id", "Accept", "Accept-Encoding"), value)
    with APP.test_request_context("/", headers=headers, content_type=value):
        wait = preferred_wait(LIMIT_S)
        if wait is not None and not 0 <= wait <= LIMIT_S:
            raise BrokenPromiseError(f"a wait of {wait} s")
        if not request_id().isascii():
            raise BrokenPromiseError("an id of a request that is no ASCII")
        flask.request.accept_mimetypes.best_match(["application/json", "text/csv"])
        try:
            key = idempotency_key()
        except Problem:
            return
        if key and key != IdempotencyKey("", value):
            raise BrokenPromiseError(f"{key} of {value!r}")


class Hook(BaseModel):
    """A webhook's address, as a body has it."""

    model_config = ConfigDict(strict=False)
    url: HttpUrl


def webhook_url(data: bytes) -> None:
    """Check the address of a webhook: no spelling of an address that is not public is accepted."""
    try:
        url = Hook(url=data.decode("utf-8", "replace")).url
        host = accept_host(url, Settings(), "/webhook/url")
    except (ValidationError, InvalidRequestError):
        return
    try:
        # As a resolver reads it that knows old spellings: octal, hexadecimal, of fewer parts.
        address = ipaddress.ip_address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return
    if not address.is_global:
        raise BrokenPromiseError(f"{url} leads to {address}")


TARGETS = [
    Target("job_id", job_id, 20, [b"job_"]),
    Target("cursor", cursor, 10, [b".", b"job_", b"-"]),
    Target("header", header, 5, [b"wait=", b"respond-async", b";q=", b"q=1e9", b"text/csv", b"gzip"]),
    Target(
        "webhook_url", webhook_url, 5, [b"http://", b"https://", b"127.1", b"[::1]", b"@", b"0x7f", b"xn--"]
    ),
]
