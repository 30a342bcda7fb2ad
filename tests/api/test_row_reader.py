"""Rows of CSV and TSV: the cells that a stock reader finds, however the bytes arrive."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest

from api.intake.rejections import InvalidRequestError, UnclosedQuoteError
from api.intake.rows import Layout, Row, RowReader
from tasks.vocabulary.items import ItemError

CSV = Layout(",")
PARTS = ["很好", "a", '"', ",", "\t", "\n", "\r\n", " ", "，", "𠮷", "'", "=1", "\\", "\x00"]


class Pieces(io.RawIOBase):
    """A body that arrives a few bytes at a time."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size = io.BytesIO(body), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._body.read(min(len(buffer), self._size))
        buffer[: len(block)] = block
        return len(block)


def read(body: bytes, layout: Layout = CSV, size: int = 10**6, limit: int = 10**5) -> list[Row]:
    return list(RowReader(io.BufferedReader(Pieces(body, size)), layout, limit, max_blank=10))


def table(seed: int, rows: int = 60, columns: int = 4) -> list[list[str]]:
    chance = random.Random(seed)
    return [
        ["".join(chance.choices(PARTS, k=chance.randrange(5))) or "0" for _ in range(columns)]
        for _ in range(rows)
    ]


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("size", [1, 2, 7, 10**6])
def test_every_cell_is_read_as_it_was_written(delimiter: str, charset: str, size: int) -> None:
    given, file = table(size), io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator=["\n", "\r\n"][size % 2]).writerows(given)
    body = file.getvalue().encode(charset)
    layout = Layout(delimiter, "utf-8" if charset == "utf-8-sig" else charset)
    assert [row.cells for row in read(body, layout, size)] == given


def test_rows_know_the_line_where_they_begin() -> None:
    body = b'a,b\n\n"1\n2","3"\r\n\r\n4,5'
    assert read(body) == [(1, ["a", "b"]), (3, ["1\n2", "3"]), (6, ["4", "5"])]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'"a"b,c', ItemError.INVALID_ROW),
        (b"a\rb,c", ItemError.INVALID_ROW),
        (b"\xff,c", ItemError.INVALID_ENCODING),
        (b'"\xff",c', ItemError.INVALID_ENCODING),
        (b"x" * 101, ItemError.LINE_TOO_LONG),
        (b"x" * 1000, ItemError.LINE_TOO_LONG),
        (b'"' + b"x\n" * 500 + b'",c', ItemError.LINE_TOO_LONG),
        (b'"' + b'""' * 500 + b'",c', ItemError.LINE_TOO_LONG),
    ],
)
def test_a_bad_row_is_one_row_and_the_next_is_read(row: bytes, code: ItemError) -> None:
    for size in (1, 10**6):
        before, bad, behind = read(b"a,b\n" + row + b"\r\n1,2\n", CSV, size, 100)
        assert (before.cells, behind.cells) == (["a", "b"], ["1", "2"])
        assert (bad.line, bad.cells) == (2, code)


def test_a_row_may_have_as_many_bytes_as_the_limit() -> None:
    for end in (b"", b"\n"):
        assert read(b"x" * 100 + end, limit=100) == [(1, ["x" * 100])]
        assert read(b'"' + b"x" * 98 + b'"' + end, limit=100) == [(1, ["x" * 98])]


@pytest.mark.parametrize("cell", ['5" disk', "it's", "a'b", ' "no quote", he said'])
def test_a_quote_inside_of_a_plain_cell_is_a_character(cell: str) -> None:
    assert read(f"{cell}\nnext".encode(), Layout(";"))[0].cells == [cell]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'a,b\n1,"2\n3,4\n', 2),
        (b'a,b\n1,"2', 2),
        (b'a,b\n"1\n2","3\n4\n', 3),
        (b'"', 1),
        (b'a,b\n"1""\n' + b"x" * 1000, 2),
    ],
)
def test_a_quote_without_an_end_is_an_error_with_its_line(body: bytes, line: int) -> None:
    rows: list[Row] = []
    with pytest.raises(UnclosedQuoteError) as caught:
        rows.extend(RowReader(io.BufferedReader(Pieces(body, 3)), CSV, 100, 10))
    assert caught.value.line == line
    assert [row.cells for row in rows] == [["a", "b"]] * (len(rows) > 0)


def test_blank_lines_have_a_limit() -> None:
    assert read(b"\n" * 10 + b"a") == [(11, ["a"])]
    with pytest.raises(InvalidRequestError) as caught:
        read(b"\n\r\n" * 6)
    assert caught.value.errors[0]["code"] == "too_many_lines"
