"""Reading requests: body, query parameters and headers."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.problems import Problem, bad_header, from_query_validation
from api.schemas.queries import Query
from tasks.errors import UploadIncompleteError
from tasks.settings import Settings
from tasks.store.idempotency import IdempotencyKey, digest
from tasks.store.uploads import IDLE_TIMEOUT_MS

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_WAIT = re.compile(r"(?:^|[,;\s])wait=([0-9]{1,30})(?:$|[,;\s])")
_BLOCK_BYTES = 8 * 1024

Body = TypeVar("Body", bound=BaseModel)
AnyQuery = TypeVar("AnyQuery", bound=Query)


def read_json(model: type[Body]) -> Body:
    """Return the body as a model. Raises 415, 400 or 422 if it is not JSON that fits the model."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    return model.model_validate_json(_body())


class _BodyStream(io.RawIOBase):
    """The request's body as it comes in. Raises UploadIncompleteError when it ends early.

    The bytes are counted, because gunicorn reports a truncated body as a complete one.
    """

    def __init__(self, source: Any, expected: int | None) -> None:
        self._source = source
        self._expected = expected
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block: bytes = self._source.read(min(len(buffer), _BLOCK_BYTES))
        except Exception as error:  # of the socket, or gunicorn's own for a body in chunks
            raise UploadIncompleteError(str(error)) from error
        self._read += len(block)
        if not block and self._expected is not None and self._read < self._expected:
            raise UploadIncompleteError(f"{self._read} of {self._expected} bytes came")
        buffer[: len(block)] = block
        return len(block)


def body_stream() -> io.RawIOBase:
    """Return the request's body as a stream. A read fails when the client sends nothing for a minute."""
    request.environ["gunicorn.socket"].settimeout(IDLE_TIMEOUT_MS / 1000)
    return _BodyStream(request.environ["wsgi.input"], request.content_length)


def read_query(model: type[AnyQuery], settings: Settings | None = None) -> AnyQuery:
    """Read the query parameters; raise the 422 that names those that are wrong.

    `settings` are for models with limits that depend on them.
    """
    given: dict[str, Any] = {}
    parts: dict[str, dict[str, str]] = {}
    for name, value in request.args.items():
        field, dot, part = name.partition(".")
        if dot and field in model.nested:
            parts.setdefault(field, {})[part] = value
        else:
            given[name] = value
    try:
        return model.model_validate(parts | given, strict=False, context=settings)
    except ValidationError as error:
        known = [f"{name}.NAME" if name in model.nested else name for name in model.model_fields]
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
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(match[1]), limit_s) if match else None


def owner() -> str:
    """Return the id of the caller's key, which owns the jobs it makes; empty where keys are not used."""
    return str(g.get("owner", ""))


def request_id() -> str:
    """Return the caller's X-Request-Id, or a new one for this request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def _body() -> bytes:
    """Return the whole body. Flask enforces the limit only where there is a Content-Length."""
    if request.content_length is not None:
        return request.get_data()
    limit: int = current_app.config["MAX_CONTENT_LENGTH"]
    body: bytes = request.environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestEntityTooLarge
    return body
