"""Turns responses that are refusals into errors."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from sentiq.effects import Call, Reply
from sentiq.errors import (
    AuthenticationError,
    BadRequestError,
    BusyError,
    ConfigurationError,
    ConflictError,
    GoneError,
    IncompatibleServiceError,
    NotFoundError,
    PermissionDeniedError,
    SentiqError,
    ServiceError,
    UploadError,
)

_FAMILIES: Mapping[int, type[SentiqError]] = {
    **dict.fromkeys((400, 408, 413, 415, 422), BadRequestError),
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: IncompatibleServiceError,
    409: ConflictError,
    410: GoneError,
    421: PermissionDeniedError,
    429: BusyError,
    **dict.fromkeys((500, 502, 504), ServiceError),
    503: BusyError,
}
_UPLOADS = {"upload_incomplete", "upload_offset", "job_closed", "invalid_gzip", "body_timeout"}
# An error that says that the request fits the service of another version.
_UNKNOWN = ("extra_forbidden", "no such parameter")
# The version in which a call was added that older services answer with 404.
_SINCE = "0.1.0"


def refusal_of(call: Call, reply: Reply) -> SentiqError:
    """Return the error of a response that is no success."""
    if 300 <= reply.status < 400:  # noqa: PLR2004  redirects
        return _redirected(reply)
    problem = _problem(reply)
    code = str(problem.get("code") or f"http_{reply.status}")
    detail = str(problem.get("detail") or f"The service answered {reply.status}.")
    errors = [each for each in problem.get("errors") or [] if isinstance(each, dict)]
    kind = _kind(reply.status, code)
    if not problem.get("code") and reply.status == 404:  # noqa: PLR2004  it is no service of ours
        kind, detail = NotFoundError, f"There is no Sentiq service: {call.path} is 404."
    if code == "not_found" or kind is IncompatibleServiceError:
        kind = IncompatibleServiceError
        detail = f"The service has no {call.method} {call.path}: it needs Sentiq {_SINCE} or later."
    elif any(_is_unknown(each) for each in errors):
        detail += f". If it is spelled as documented, the service is older than Sentiq {_SINCE}."
    return kind(
        detail,
        code=code,
        status=reply.status,
        errors=errors,
        request_id=problem.get("request_id") or reply.headers.get("x-request-id"),
        retry_after=retry_after(reply),
        problem=problem,
    )


def _kind(status: int, code: str) -> type[SentiqError]:
    if code in _UPLOADS:
        return UploadError
    return _FAMILIES.get(status, SentiqError)


def _is_unknown(error: Mapping[str, Any]) -> bool:
    return error.get("code") == _UNKNOWN[0] or str(error.get("detail")).startswith(_UNKNOWN[1])


def _redirected(reply: Reply) -> SentiqError:
    target = reply.headers.get("location", "another address")
    return ConfigurationError(
        f"The service redirects to {target}. No redirect is followed, so that no other host gets the key: "
        "give the address of the service itself.",
        code="redirected",
        status=reply.status,
    )


def _problem(reply: Reply) -> Mapping[str, Any]:
    try:
        body = json.loads(reply.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def retry_after(reply: Reply) -> float | None:
    """Return the seconds of `Retry-After`, which is a number or a date; None without a valid one."""
    given = reply.headers.get("retry-after", "")
    if given.isascii() and given.isdecimal():
        return float(given)
    try:
        return max(0.0, parsedate_to_datetime(given).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
