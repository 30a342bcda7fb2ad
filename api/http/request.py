"""Reading requests: documents, query parameters and headers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from flask import g, request
from pydantic import BaseModel, ValidationError

from api.http.body import document, require_utf8
from api.http.problems import Problem, bad_header, bad_query, from_query_validation
from api.intake.documents import parse
from api.intake.item_data import take_data
from api.schemas.headers import MAX_PREFER_CHARS
from api.schemas.queries import Query
from api.schemas.request_bodies import JobIn
from api.waiting.pacing import let_others_run
from tasks.settings import Settings
from tasks.store.idempotency import IdempotencyKey, digest

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# A preference of RFC 7240: a name, and perhaps a value, which may be quoted.
_PREFERENCE = re.compile(r'(?:^|[,;\s])\s*([\w-]+)\s*(?:=\s*("[^"]*"|[^\s,;"]*))?')
_SECONDS = re.compile(r"[0-9]{1,30}")
JSON = "application/json"

Body = TypeVar("Body", bound=BaseModel)
AnyQuery = TypeVar("AnyQuery", bound=Query)


def read_json(model: type[Body], settings: Settings) -> Body:
    """Return the body as a model. Raises 400, 408, 413, 415, 422 or 429 if it cannot be had or is wrong."""
    with _json_document(settings) as body:
        return parse(model, body, settings.max_items)


def read_job(settings: Settings) -> tuple[JobIn, Mapping[int, bytes]]:
    """Return the body as a job, and the `data` of its items by index. Raises what `read_json` does."""
    with _json_document(settings) as whole:
        body, data = take_data(whole, settings.max_items)
        return parse(JobIn, body, settings.max_items), data


@contextmanager
def _json_document(settings: Settings) -> Iterator[bytes]:
    if request.mimetype != JSON:
        raise Problem(415, "unsupported_media_type", f"Send the body as {JSON}.")
    require_utf8()
    with document(settings) as body:
        let_others_run()
        yield body


def read_query(model: type[AnyQuery]) -> AnyQuery:
    """Read the query parameters; raise the 422 that names those that are wrong."""
    given: dict[str, Any] = {}
    parts: dict[str, dict[str, str]] = {}
    for name, values in request.args.lists():
        field, dot, part = name.partition(".")
        if len(values) > 1 and name not in model.lists:
            raise bad_query(name, f"it is given {len(values)} times; give it once")
        value = ",".join(values)
        if dot and field in model.nested:
            parts.setdefault(field, {})[part] = value
        else:
            given[name] = value
    try:
        return model.model_validate(parts | given, strict=False)
    except ValidationError as error:
        named = [field.alias or name for name, field in model.model_fields.items()]
        known = [f"{name}.NAME" if name in model.nested else name for name in named]
        raise from_query_validation(error, known) from None


def idempotency_key(canonical: Callable[[], bytes] | None = None) -> IdempotencyKey | None:
    """Return the request's Idempotency-Key with the hash of the canonical body; None without a key.

    Leave `canonical` out where the body is not read yet: the key then has no hash.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise bad_header("Idempotency-Key", "it is not 1 to 255 visible ASCII characters")
    return IdempotencyKey(owner(), given, digest(canonical()) if canonical else None)


def preferred_wait(limit_s: float) -> float | None:
    """Return the seconds of `Prefer: wait=N`, at most the limit; None if the header does not ask to wait."""
    preferences = _PREFERENCE.findall(request.headers.get("Prefer", "")[:MAX_PREFER_CHARS])
    given = next((value.strip('"') for name, value in preferences if name.lower() == "wait"), "")
    return min(float(given), limit_s) if _SECONDS.fullmatch(given) else None


def owner() -> str:
    """Return the id of the caller's key, which owns the jobs it makes; empty where keys are not used."""
    return str(g.get("owner", ""))


def request_id() -> str:
    """Return the caller's X-Request-Id, or a new one for this request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)
