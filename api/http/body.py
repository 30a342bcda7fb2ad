"""Reading the body of a request: in bounded time, of bounded size, and few unread ones of a caller."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g, request

from api.http.problems import Problem
from api.intake.decoding import DecodedBody
from api.intake.rejections import BodyTimeoutError, BodyTooLargeError, BodyUnreadableError
from api.intake.rows import Layout
from tasks.errors import SentiqError, UploadIncompleteError
from tasks.settings import Settings
from tasks.vocabulary.feeds import SILENCE_MS

# A request that waits for its body holds a buffer of that size.
_READ_BYTES = 8 * 1024
# Unread documents of one caller together hold at most that many times the largest one.
_UNREAD_DOCUMENTS = 4
_CHARSETS = ("utf-8", "utf8", "us-ascii")
ROW_DELIMITERS = {"text/csv": ",", "text/tab-separated-values": "\t"}
# GB18030 contains the older GBK and GB 2312.
_ROW_CHARSETS = dict.fromkeys((*_CHARSETS, "utf-8-sig"), "utf-8") | dict.fromkeys(
    ("gb18030", "gbk", "gb2312"), "gb18030"
)

# Bytes of documents that come in or wait until they are parsed, by caller.
_unread: Counter[str] = Counter()


class _BodyStream(io.RawIOBase):
    """The request's body as it comes in. Raises `incomplete` when it ends early, `late` when time is up.

    The bytes are counted, because gunicorn reports a truncated body as a complete one.
    """

    def __init__(
        self, seconds: float, pause_s: float, incomplete: type[SentiqError], late: type[SentiqError]
    ) -> None:
        connection = request.environ.get("gunicorn.socket")
        if connection:  # none where the app is called without a server
            connection.allow(seconds, pause_s)
        self._source: Any = request.environ["wsgi.input"]
        self._expected = request.content_length
        self._read = 0
        self._incomplete, self._late = incomplete, late
        self._limits = f"it did not arrive within {seconds:g} s, or nothing of it for {pause_s:g} s"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block: bytes = self._source.read(min(len(buffer), _READ_BYTES))
        except TimeoutError as error:
            raise self._late(self._limits) from error
        except OSError as error:
            raise self._incomplete("the connection ended before it did") from error
        except Exception as error:  # gunicorn's own, for malformed chunks
            raise self._incomplete(str(error)) from error
        self._read += len(block)
        if not block and self._expected is not None and self._read < self._expected:
            raise self._incomplete(f"{self._read} of {self._expected} bytes came")
        buffer[: len(block)] = block
        return len(block)


def upload_stream(settings: Settings) -> io.RawIOBase:
    """Return the body of an upload. A read raises UploadIncompleteError if it ends early or is late."""
    seconds = settings.max_upload_s
    return _BodyStream(seconds, SILENCE_MS / 1000, UploadIncompleteError, UploadIncompleteError)


@contextmanager
def document(settings: Settings) -> Iterator[bytes]:
    """Give a whole body, decompressed; parse it before the block ends.

    Raises BodyTooLargeError, BodyTimeoutError, BodyUnreadableError, and the 429 when the caller has too many
    bytes of unread documents.
    """
    limit, seconds = settings.max_body_bytes, settings.max_body_s
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError(limit)
    body = DecodedBody(
        _BodyStream(seconds, seconds, BodyUnreadableError, BodyTimeoutError), content_encoding(), limit
    )
    blocks = []
    with _counted(_UNREAD_DOCUMENTS * limit) as count:
        while block := body.read(_READ_BYTES):
            count(len(block))
            blocks.append(block)
        whole = b"".join(blocks)
        blocks.clear()
        yield whole


def content_encoding() -> str:
    """Return how the body is compressed."""
    return request.headers.get("Content-Encoding", "identity")


def row_layout() -> Layout | None:
    """Return how rows are divided into cells if the body is CSV or TSV. Raises the 415 for other charsets."""
    if request.mimetype not in ROW_DELIMITERS:
        return None
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in _ROW_CHARSETS:
        accepted = "UTF-8 (with or without a byte order mark) or GB18030"
        raise Problem(415, "unsupported_charset", f"Rows are declared as {charset[:40]}; send {accepted}.")
    return Layout(ROW_DELIMITERS[request.mimetype], _ROW_CHARSETS[charset])


def require_utf8() -> None:
    """Raise the 415 for a body that is declared in another charset: JSON is UTF-8."""
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in _CHARSETS:
        raise Problem(415, "unsupported_charset", f"The body is declared as {charset[:40]}; send UTF-8.")


@contextmanager
def _counted(most: int) -> Iterator[Any]:
    """Give a function that counts bytes of this request as unread until the block ends."""
    caller, counted = g.caller.identity if "caller" in g else "", 0

    def count(size: int) -> None:
        nonlocal counted
        counted += size
        _unread[caller] += size
        if _unread[caller] > most:
            detail = f"At most {most} bytes of a caller's unfinished requests are kept. Send fewer at once."
            raise Problem(429, "too_many_open_requests", detail, retry_after_s=1)

    try:
        yield count
    finally:
        _unread[caller] -= counted
        if not _unread[caller]:
            del _unread[caller]
