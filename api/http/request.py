"""Reading requests: body, query, and the headers that matter."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

from flask import current_app, g, request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.problems import Problem, bad_header, bad_query
from tasks.errors import UploadIncompleteError
from tasks.store.idempotency import IdempotencyKey, digest
from tasks.store.uploads import IDLE_TIMEOUT_MS

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,30})(?:$|[,;\s])")
_BLOCK_BYTES = 8 * 1024

Body = TypeVar("Body", bound=BaseModel)


def read_json(model: type[Body]) -> Body:
    """Read the request's body. Raises the 415, 400 or 422 that says what is wrong with it."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    return model.model_validate_json(_body())


def body_blocks() -> Iterator[bytes]:
    """Yield the body as it comes in. Raises UploadIncompleteError when it ends early.

    The bytes are counted, because gunicorn ends a body that was cut like a whole one.
    """
    source, expected, read = request.environ["wsgi.input"], request.content_length, 0
    # Whoever says nothing for so long has nobody's job any more, and is to hold no connection either.
    request.environ["gunicorn.socket"].settimeout(IDLE_TIMEOUT_MS / 1000)
    while expected is None or read < expected:
        try:
            block = source.read(_BLOCK_BYTES)
        except Exception as error:  # of the socket, or gunicorn's own for a body in chunks
            raise UploadIncompleteError(str(error)) from error
        if not block:
            break
        read += len(block)
        yield block
    if expected is not None and read < expected:
        raise UploadIncompleteError(f"{read} of {expected} bytes came")


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


def idempotency_key(canonical: Callable[[], bytes] | None = None) -> IdempotencyKey | None:
    """Return the caller's Idempotency-Key with the hash of the canonical body, None without a key.

    The hash is left out where `canonical` is.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise bad_header("Idempotency-Key", "it is not 1 to 255 visible ASCII characters")
    return IdempotencyKey(owner(), given, digest(canonical()) if canonical else None)


def preferred_wait(limit_s: float) -> float | None:
    """Return the seconds of `Prefer: wait=N`, at most the limit; None when not asked to wait."""
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(match[1]), limit_s) if match else None


def owner() -> str:
    """Return whose jobs the caller may see; empty as long as there are no keys."""
    return str(g.get("owner", ""))


def request_id() -> str:
    """Return the caller's X-Request-Id, or one minted for this request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def _body() -> bytes:
    """Read the whole body; one that comes in chunks is counted here, since no header tells its length."""
    if request.content_length is not None:
        return request.get_data()
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    body: bytes = request.environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body
