"""Every error that this package raises. A refusal of the service has the `code` of its problem document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class SentiqError(Exception):
    """Root of all errors.

    `code` is stable and for programs, `detail` is for people. `status` is the HTTP status, None if no answer
    came. `errors` names each field that is wrong, `request_id` finds the request in the service's log, and
    `retry_after` is the number of seconds after which the service asks to be called again.
    """

    code = "error"

    def __init__(  # noqa: PLR0913  the members of a problem document
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep what the problem document says; `problem` is all of it."""
        self.code = code or type(self).code
        self.detail = detail
        self.status = status
        self.errors = list(errors)
        self.request_id = request_id
        self.retry_after = retry_after
        self.problem: Mapping[str, Any] = problem or {}
        super().__init__(detail)

    def __str__(self) -> str:
        """Return the code, the detail and the request id."""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.detail}{request}"


class ConfigurationError(SentiqError):
    """The URL or the key cannot be used."""

    code = "bad_configuration"


class SentiqConnectionError(SentiqError):
    """The service could not be reached, or the connection broke and did not come back in time."""

    code = "connection_failed"


class SentiqTimeoutError(SentiqConnectionError):
    """The service did not answer in time, or a job was not finished within `wait(timeout=…)`."""

    code = "timeout"


class IncompatibleServiceError(SentiqError):
    """The service is too old for this call; the message says which version is needed."""

    code = "incompatible_service"


class NoVerdictError(SentiqError):
    """A single text got an error instead of a verdict; `code` is that of the item, such as `empty_text`."""

    code = "no_verdict"


class BadRequestError(SentiqError):
    """400, 408, 413, 415, 422: the request is wrong; `errors` names the fields."""

    code = "invalid_request"


class AuthenticationError(SentiqError):
    """401: there is no key, or an unknown one."""

    code = "key_unknown"


class PermissionDeniedError(SentiqError):
    """403, 421: the key lacks a scope, or the service does not answer to this host."""

    code = "scope_missing"


class NotFoundError(SentiqError):
    """404: this service never issued the id, or the job belongs to another key."""

    code = "job_not_found"


class GoneError(SentiqError):
    """410: the job has expired, was deleted or was lost."""

    code = "job_expired"


class ConflictError(SentiqError):
    """409: not possible now, such as the retry of a job that is not finished."""

    code = "conflict"


class UploadError(SentiqError):
    """An upload ended early. `recorded` items of it are kept, in the job `job_id` if there is one."""

    code = "upload_incomplete"

    @property
    def recorded(self) -> int | None:
        """The number of items that the service has recorded; None if it is not known."""
        recorded = self.problem.get("recorded_items")
        return recorded if isinstance(recorded, int) else None

    @property
    def job_id(self) -> str | None:
        """The job that holds them."""
        job_id = self.problem.get("job_id")
        return job_id if isinstance(job_id, str) else None


class BusyError(SentiqError):
    """429, and 503 with a problem document: there was no room for as long as retries last."""

    code = "service_full"


class ServiceError(SentiqError):
    """500, 502, 503, 504: a fault of the service."""

    code = "internal_error"
