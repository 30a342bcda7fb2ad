"""Bodies of requests: lines, rows, documents, gzip."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress

from pydantic import ValidationError

from api.intake.decoding import DecodedBody
from api.intake.documents import parse
from api.intake.item_data import take_data
from api.intake.ndjson import lines, read_item
from api.intake.rejections import (
    BodyTooLargeError,
    ExcessiveCompressionError,
    InvalidGzipError,
    InvalidJsonError,
    InvalidRequestError,
    UnclosedQuoteError,
)
from api.intake.rows import Layout, Row, RowReader
from api.intake.table import Table
from api.schemas.request_bodies import JobIn
from tasks.settings import Settings
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.codec import decode_chunk, encode_chunk
from tasks.vocabulary.items import Item
from tests.api.test_row_reader import Pieces
from tests.fuzz.target import BrokenPromiseError, Target

SETTINGS = Settings(max_text_chars=200, max_items=50)
LINE_BYTES, BLANKS = 600, 20
GZIP_BYTES = 100_000


def ndjson(data: bytes) -> None:
    """Read lines; what can be scored comes through the store as it was."""
    try:
        items = [read_item(line, SETTINGS) for line in lines(io.BytesIO(data), LINE_BYTES, BLANKS)]
    except InvalidRequestError:
        return
    most = data.count(b"\n") + 1
    if len(items) > most:
        raise BrokenPromiseError(f"{len(items)} items of {most} lines")
    _round_trip(items)


def _round_trip(items: list[Item]) -> None:
    chunk = Chunk("job", 0, [item for item in items if item.error is None])
    again = decode_chunk("job", 0, encode_chunk(chunk))
    before, after = ([(item.text, item.id) for item in each.items] for each in (chunk, again))
    if before != after:
        raise BrokenPromiseError(f"{before} became {after}")


def csv(data: bytes) -> None:
    """Read rows, whole and in pieces: both have the same cells. And read them as a table."""
    layout = Layout("\t" if data[:1] == b"\t" else ",", "gb18030" if data[1:2] == b"\x81" else "utf-8")
    whole, pieces = (_rows(data, layout, size) for size in (len(data) + 1, 3))
    if whole != pieces:
        raise BrokenPromiseError(f"{whole} in pieces is {pieces}")
    with suppress(InvalidRequestError, UnclosedQuoteError):
        reader = RowReader(io.BufferedReader(io.BytesIO(data)), layout, LINE_BYTES, BLANKS)
        _round_trip(list(Table(reader, "text", SETTINGS.max_text_chars)))


def _rows(data: bytes, layout: Layout, size: int) -> list[Row | str]:
    def read() -> Iterator[Row | str]:
        try:
            yield from RowReader(io.BufferedReader(Pieces(data, size)), layout, LINE_BYTES, BLANKS)
        except (InvalidRequestError, UnclosedQuoteError) as error:
            yield type(error).__name__

    return list(read())


def document(data: bytes) -> None:
    """Read a job document; whatever `data` its items have is left apart."""
    with suppress(InvalidRequestError, InvalidJsonError, ValidationError):
        body, _ = take_data(data, SETTINGS.max_items)
        parse(JobIn, body, SETTINGS.max_items)


def gzip(data: bytes) -> None:
    """Decompress a body; never more than the limit."""
    body = DecodedBody(Pieces(data, 100), "gzip", GZIP_BYTES)
    try:
        size = len(io.BufferedReader(body).read())
    except (InvalidGzipError, BodyTooLargeError, ExcessiveCompressionError):
        return
    if size > GZIP_BYTES:
        raise BrokenPromiseError(f"{size} bytes, the limit is {GZIP_BYTES}")


WORDS = [b'"text"', b'"id"', b'"data"', b'"items"', b'"aspects"', b'"options"', b'"webhook"', b'"metadata"']
TARGETS = [
    Target("ndjson", ndjson, 20, WORDS),
    Target("csv", csv, 15, [b'""', b'","', b'"\n', b"text", b"\x81\x30\x84\x36"]),
    Target("document", document, 20, WORDS),
    Target("gzip", gzip, 5),
]
