"""Reading and writing what requests and answers carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Response, current_app, request
from pydantic import BaseModel
from pydantic_core import to_json
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.problems import Problem, bad_header, bad_query
from api.schemas.request_bodies import owner
from tasks.store.idempotency import IdempotencyKey, digest

_KEY = re.compile(r"[\x21-\x7e]{1,255}")

Body = TypeVar("Body", bound=BaseModel)


def read_json(model: type[Body]) -> Body:
    """Read the request's body. Raises the 415, 400 or 422 that says what is wrong with it."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    return model.model_validate_json(_body())


def refuse_unknown_queries(*known: str) -> None:
    """Raise the 422 for a query parameter that does not exist: a silently ignored typo would be a bug."""
    for name in request.args:
        if name not in known:
            raise bad_query(name, f"no such parameter; known: {', '.join(known)}")


def query_choice(name: str, *choices: str) -> str | None:
    """Return a query parameter that is one of the choices, or None when it is absent."""
    value = request.args.get(name)
    if value is not None and value not in choices:
        raise bad_query(name, f"{value!r} is not {' or '.join(choices)}")
    return value


def idempotency_key(canonical: bytes | None) -> IdempotencyKey | None:
    """Return the caller's Idempotency-Key with the hash of the canonical body, None without one."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise bad_header("Idempotency-Key", "it is not 1 to 255 visible ASCII characters")
    return IdempotencyKey(owner(), given, digest(canonical) if canonical is not None else None)


def _body() -> bytes:
    """Read the whole body; one that comes in chunks is counted here, since no header tells its length."""
    if request.content_length is not None:
        return request.get_data()
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    body: bytes = request.environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body


def reply(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON: UTF-8, unescaped."""
    return Response(to_json(body), status, headers, content_type="application/json")
