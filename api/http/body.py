"""Reading the body of a request: in bounded time and size, and few bytes of those of a caller."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import g, request

from api.http.problems import Problem
from api.intake.decoding import DecodedBody
from api.intake.rejections import BodyTimeoutError, BodyTooLargeError, BodyUnreadableError
from api.intake.rows import Layout
from api.waiting.room import Incoming, room
from tasks.errors import SentiqError, UploadIncompleteError
from tasks.settings import Settings
from tasks.vocabulary.feeds import SILENCE_MS

_READ_BYTES = 8 * 1024
# A document waits for others of its caller for that share of the time in which it must arrive.
_WAIT_SHARE = 0.5
_CHARSETS = ("utf-8", "utf8", "us-ascii")
ROW_DELIMITERS = {"text/csv": ",", "text/tab-separated-values": "\t"}
# GB18030 contains the older GBK and GB 2312.
_ROW_CHARSETS = dict.fromkeys((*_CHARSETS, "utf-8-sig"), "utf-8") | dict.fromkeys(
    ("gb18030", "gbk", "gb2312"), "gb18030"
)


class _BodyStream(io.RawIOBase):
    """The request's body as it comes in. Raises `incomplete` when it ends early, `late` when time is up.

    The bytes are counted, because gunicorn reports a truncated body as a complete one.
    """

    def __init__(
        self, seconds: float, pause_s: float, incomplete: type[SentiqError], late: type[SentiqError]
    ) -> None:
        self._connection = request.environ.get("gunicorn.socket")
        if self._connection:  # none where the app is called without a server
            self._connection.allow(seconds, pause_s)
        self._source: Any = request.environ["wsgi.input"]
        self._expected = request.content_length
        self._read = 0
        self._incomplete, self._late = incomplete, late
        self._limits = f"it did not arrive within {seconds:g} s, or nothing of it for {pause_s:g} s"

    def readable(self) -> bool:
        return True

    def prolong(self, seconds: float) -> None:
        """Give the body that much more time, in which it was not read."""
        if self._connection:
            self._connection.prolong(seconds)

    def readinto(self, buffer: Any) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes, without a buffer for them while they do not come; b"" at the end."""
        if size < 0:
            return self.readall()
        try:
            block: bytes = self._source.read(min(size, _READ_BYTES))
        except TimeoutError as error:
            raise self._late(self._limits) from error
        except OSError as error:
            raise self._incomplete("the connection ended before it did") from error
        except Exception as error:  # gunicorn's own, for malformed chunks
            raise self._incomplete(str(error)) from error
        self._read += len(block)
        if not block and self._expected is not None and self._read < self._expected:
            raise self._incomplete(f"{self._read} of {self._expected} bytes came")
        return block


def upload_stream(settings: Settings) -> io.RawIOBase:
    """Return the body of an upload. A read raises UploadIncompleteError if it ends early or is late."""
    seconds = settings.max_upload_s
    return _BodyStream(seconds, SILENCE_MS / 1000, UploadIncompleteError, UploadIncompleteError)


@contextmanager
def document(settings: Settings) -> Iterator[bytes]:
    """Give a whole body, decompressed; parse it before the block ends.

    All documents of a caller but the oldest hold no more bytes than the largest one may have: others wait.
    Raises BodyTooLargeError, BodyTimeoutError, BodyUnreadableError, and the 429 when they wait too long.
    """
    limit, seconds = settings.max_body_bytes, settings.max_body_s
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError(limit)
    stream = _BodyStream(seconds, seconds, BodyUnreadableError, BodyTimeoutError)
    body, held = DecodedBody(stream, content_encoding(), limit), io.BytesIO()
    with room.document(g.caller.identity if "caller" in g else "", limit) as incoming:
        while block := body.read(_READ_BYTES):
            stream.prolong(_counted(incoming, len(block), seconds * _WAIT_SHARE))
            held.write(block)
        yield held.getvalue()


def _counted(incoming: Incoming, size: int, within_s: float) -> float:
    """Count bytes of a document, and return the seconds that they waited. Raises the 429 after `within_s`."""
    waited_s = incoming.add(size, within_s)
    if waited_s is None:
        detail = (
            f"Other unfinished requests of this caller hold all the bytes that they may for {within_s:g} s. "
            "Send fewer at once."
        )
        raise Problem(429, "too_many_open_requests", detail, retry_after_s=1)
    return waited_s


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
