"""Why a request cannot become a job. `api.http.problems` maps these errors to HTTP status codes."""

from __future__ import annotations

from collections.abc import Sequence

from api.schemas.problems import FieldError
from tasks.errors import SentiqError, UploadIncompleteError


class InvalidRequestError(SentiqError):
    """Fields of the request are invalid; `errors` names them."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(len(errors))
        self.errors = errors

    @classmethod
    def at(cls, pointer: str, code: str, detail: str) -> InvalidRequestError:
        """Return the error for one field; `pointer` is empty for the body as a whole."""
        return cls([{"pointer": pointer, "code": code, "detail": detail}])


class BodyTooLargeError(SentiqError):
    """The body has more bytes than the limit, which is the argument."""

    code = "body_too_large"


class ExcessiveCompressionError(SentiqError):
    """The body decompresses to more bytes for each one received than the limit, which is the argument."""

    code = "excessive_compression"


class BodyUnreadableError(SentiqError):
    """The body is shorter than announced, or its chunks are malformed; the argument says which."""

    code = "body_unreadable"


class BodyTimeoutError(SentiqError):
    """The body did not arrive within the seconds that are the argument."""

    code = "body_timeout"


class UnclosedQuoteError(UploadIncompleteError):
    """The rows end inside of quotes, which opened in a line of the upload."""

    def __init__(self, line: int) -> None:
        super().__init__(f"the quote that opens in line {line} is never closed", line)


class InvalidJsonError(SentiqError):
    """The body is not JSON; the argument says why."""

    code = "invalid_json"


class InvalidGzipError(SentiqError):
    """The body is marked as gzip, or begins like gzip, and cannot be decompressed."""

    code = "invalid_gzip"


class TruncatedGzipError(InvalidGzipError):
    """The gzip stream ends before its end mark: the program that wrote it was stopped."""


class UnsupportedEncodingError(SentiqError):
    """The body has another Content-Encoding than gzip."""

    code = "unsupported_encoding"
