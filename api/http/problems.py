"""Errors as RFC 9457 problem documents: the only module that maps errors to HTTP status codes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.intake.rejections import (
    BodyTimeoutError,
    BodyTooLargeError,
    BodyUnreadableError,
    ExcessiveCompressionError,
    InvalidGzipError,
    InvalidJsonError,
    InvalidRequestError,
    TruncatedGzipError,
    UnclosedQuoteError,
    UnsupportedEncodingError,
)
from api.schemas.problems import ExceededLimit, FieldError, KnownProblem
from tasks.errors import (
    ApiKeyNotFoundError,
    ClassNotAllowedError,
    DeadlineTooShortError,
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    JobDataTooLargeError,
    JobDeletedError,
    JobExpiredError,
    JobLostError,
    JobNotFinishedError,
    JobNotFoundError,
    Limit,
    ModelNotAllowedError,
    NoModelError,
    NotAllowedError,
    NotComparedError,
    NothingToRetryError,
    NoWebhookError,
    OwnKeyError,
    PauseTargetNotFoundError,
    QuotaExceededError,
    RefusedError,
    SenderUnavailableError,
    SentiqError,
    ServiceFullError,
    StorageQuotaExceededError,
    StoreFullError,
    StoreUnavailableError,
    TooManyJobsError,
    UnknownFormatError,
    UnknownModelError,
    UploadClosedError,
    UploadIncompleteError,
    UploadOffsetError,
    WritesRefusedError,
)

_MAX_ERRORS = 100
TITLES = {
    400: "The request cannot be read",
    401: "An API key is needed",
    403: "The caller may not do this",
    404: "Not found",
    405: "The method is not allowed",
    408: "The request took too long",
    409: "Not possible now",
    410: "Gone",
    413: "The request body is too large",
    415: "The content type is not supported",
    421: "The request is for another host",
    422: "The request is not valid",
    429: "Too much at once",
    503: "The service is not available",
    504: "The verdict took too long",
}
# pydantic's text does not name the values of a bool.
_DETAILS = {"bool_type": "Input should be true or false"}
# What pydantic says of them names types of Python.
_FIELDS_WANTED = ("dict_type", "model_type")
_UNKNOWN = (500, "Something went wrong inside the service.")
_STATUS: Mapping[type[SentiqError], tuple[int, str]] = {
    ApiKeyNotFoundError: (404, "No API key has the id {}."),
    OwnKeyError: (
        409,
        "This request uses the API key {}: another operator may change it, or `python -m api.auth`.",
    ),
    PauseTargetNotFoundError: (404, "There is no {}, so that nothing of it could be paused."),
    JobNotFoundError: (404, "No job of this service has the id {}."),
    JobExpiredError: (410, "Job {} finished and its results have expired."),
    JobDeletedError: (410, "Job {} was deleted."),
    JobLostError: (410, "Job {} was accepted, but its record was lost."),
    JobNotFinishedError: (409, "Job {} is not finished yet."),
    NothingToRetryError: (409, "No item of job {} failed for a reason that a retry could change."),
    NoWebhookError: (404, "No webhook of a job {} is known."),
    SenderUnavailableError: (503, "No sender of webhooks took the test within {} s: does one run?"),
    NotComparedError: (409, "Job {} was submitted without `compare_with`."),
    UploadClosedError: (
        409,
        "Job {} was canceled, was deleted, timed out or was resumed by another request during the upload.",
    ),
    UploadOffsetError: (409, "The upload has {} items: send the item of that index first."),
    IdempotencyKeyInFlightError: (409, "A request with the Idempotency-Key {} is still being read."),
    IdempotencyKeyReusedError: (422, "The Idempotency-Key {} was used with another request."),
    UploadIncompleteError: (400, "The upload ended early: {}."),
    UnclosedQuoteError: (400, "The upload ended early: {}."),
    JobDataTooLargeError: (413, "The `data` of the items of one job may have {} bytes together."),
    BodyTooLargeError: (413, "At most {} bytes are accepted in one request."),
    ExcessiveCompressionError: (413, "The body decompresses to more than {} times its size: send it plain."),
    BodyUnreadableError: (400, "The body cannot be read: {}."),
    BodyTimeoutError: (408, "The body took too long: {}."),
    InvalidJsonError: (400, "{}"),
    InvalidGzipError: (400, "The body cannot be decompressed: {}."),
    TruncatedGzipError: (400, "The body cannot be decompressed: {}."),
    UnsupportedEncodingError: (415, "Send the body as it is, or with Content-Encoding: gzip."),
    StoreUnavailableError: (
        503,
        "The job store does not answer, so nothing was accepted. Try again.",
    ),
    WritesRefusedError: (503, "The job store takes no writes now, so nothing was accepted. Try again."),
    UnknownFormatError: (503, "Another version of the service made this job. Try again."),
    UnknownModelError: (422, "{}"),
    NoModelError: (503, "No worker has started yet, so there is no model. Try again."),
    QuotaExceededError: (429, "At most {} items of a key may be unfinished at once; wait until some finish."),
    TooManyJobsError: (429, "At most {} jobs of a key may be unfinished at once; wait until one finishes."),
    ModelNotAllowedError: (403, "This key may not name the model {}."),
    ClassNotAllowedError: (403, "This key may not submit {} jobs."),
    StorageQuotaExceededError: (
        429,
        "At most {} bytes of texts and results are kept for a key; delete jobs, or wait until some expire.",
    ),
    DeadlineTooShortError: (
        503,
        "This should be finished in {}: send it later, or with a `deadline_s` of `feasible_deadline_s`.",
    ),
    ServiceFullError: (503, "The backlog is too long to finish this in time. Send the same request later."),
    StoreFullError: (503, "The job store is nearly full."),
}


class Problem(Exception):  # noqa: N818  it is a response, not a fault
    """A response that is a problem document; `extensions` are its further members."""

    def __init__(self, status: int, code: str, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extensions = extensions
        self.headers: dict[str, str] = {}


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the 422 for fields that are wrong: each error has a JSON `pointer`, a `code` and a `detail`."""
    detail = "; ".join(f"{error['pointer'] or 'body'}: {error['detail']}" for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""  # noqa: PLR2004  as many as are shown
    return Problem(422, "invalid_request", detail + more, errors=list(errors))


def bad_header(name: str, detail: str) -> Problem:
    """Return the 422 for a request header."""
    return invalid([{"pointer": name, "code": "invalid_value", "detail": detail}])


def bad_query(name: str, detail: str) -> Problem:
    """Return the 422 for a query parameter."""
    return invalid([{"pointer": f"?{name}", "code": "invalid_value", "detail": detail}])


def from_validation(error: ValidationError) -> Problem:
    """Return the 422 of a body that pydantic refused."""
    if error.error_count() > _MAX_ERRORS:
        return _too_many_errors(error)
    errors = error.errors(include_url=False, include_input=False)
    return invalid(
        [
            {
                "pointer": "".join(f"/{part}" for part in each["loc"]),
                "code": each["type"],
                "detail": _detail(each),
            }
            for each in errors
        ]
    )


def from_query_validation(error: ValidationError, known: Sequence[str]) -> Problem:
    """Return the 422 of a query that pydantic refused; `known` are the parameters that the call takes."""
    if error.error_count() > _MAX_ERRORS:
        return _too_many_errors(error)
    unknown = f"no such parameter; known: {', '.join(known) or 'none'}"
    errors: list[FieldError] = []
    for each in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, each["loc"]))
        if each["type"] in _FIELDS_WANTED:
            detail = f"it has fields; give each of them, as {name}.NAME=VALUE"
        else:
            detail = unknown if each["type"] == "extra_forbidden" else _detail(each)
        errors.append({"pointer": f"?{name}", "code": "invalid_value", "detail": detail})
    return invalid(errors)


def _too_many_errors(error: ValidationError) -> Problem:
    """Answer a hostile request in short: describing each error would hold up everybody else."""
    return Problem(422, "invalid_request", f"{error.error_count()} fields are wrong.", errors=[])


def _detail(error: ErrorDetails) -> str:
    return _DETAILS.get(error["type"]) or error["msg"].removeprefix("Value error, ")


def from_error(error: SentiqError) -> Problem:
    """Return the problem of an error; 500 if the error should not have reached the caller."""
    if isinstance(error, InvalidRequestError):
        return invalid(error.errors)
    status, detail = _STATUS.get(type(error), _UNKNOWN)
    extensions: dict[str, Any] = {}
    if isinstance(error, (UploadIncompleteError, UploadOffsetError)):
        extensions |= {"recorded_items": error.recorded} | ({"job_id": error.job_id} if error.job_id else {})
    if isinstance(error, (RefusedError, NotAllowedError)) and error.limit:
        extensions["limit"] = limit_view(error.limit)
        detail += words(error.limit)
    if isinstance(error, DeadlineTooShortError):
        extensions["feasible_deadline_s"] = error.feasible_s
    if isinstance(error, RefusedError):
        extensions["retry_after_s"] = _spread(error.retry_after_s)
    elif status >= 500 or isinstance(error, (IdempotencyKeyInFlightError, JobNotFinishedError)):  # noqa: PLR2004  ours, not the caller's
        extensions["retry_after_s"] = 1
    return Problem(status, error.code, detail.format(error), **extensions)


def limit_view(limit: Limit) -> ExceededLimit:
    """Return a limit as a member of a problem document."""
    value = limit.value if isinstance(limit.value, int | float) else list(limit.value)
    return {"name": limit.name, "value": value, "of": limit.of}


def words(limit: Limit) -> str:
    """Return a sentence that names a limit, its value and whose it is, to stand behind another."""
    value = f"{limit.value:g}" if isinstance(limit.value, float) else limit.value
    shown = value if isinstance(value, int | str) else ", ".join(value)
    return f" {limit.name} of this {limit.of} is {shown}."


def known_problem(error: SentiqError) -> KnownProblem:
    """Return an error as a member of a larger body."""
    problem = from_error(error)
    return {"status": problem.status, "code": problem.code, "detail": problem.detail}


def _spread(seconds: float) -> int:
    """Return whole seconds to wait, with a random part so that callers do not come back together."""
    return max(1, math.ceil(seconds + random.uniform(0, min(5, 1 + seconds / 10))))  # noqa: S311  no secret
