"""Rows as items: which cell is the text, what becomes `data`, and which headers and rows are refused."""

from __future__ import annotations

import io
import json

import pytest

from api.intake.rejections import InvalidRequestError
from api.intake.rows import Layout, RowReader
from api.intake.table import Table
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.codec import decode_chunk, encode_chunk
from tasks.vocabulary.items import Item, ItemError


def table(body: str | bytes, text_column: str = "text") -> Table:
    raw = body.encode() if isinstance(body, str) else body
    rows = RowReader(io.BytesIO(raw), Layout(","), max_bytes=10_000, max_blank=10)
    return Table(rows, text_column, max_text_chars=100)


def refusal(body: str | bytes, text_column: str = "text") -> tuple[str, str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        table(body, text_column)
    (error,) = caught.value.errors
    return error["pointer"], error["code"], error["detail"]


def test_one_column_is_the_text_and_the_others_are_data() -> None:
    rows = table('shop,text,"a ""b"""\n甲店,很好,\n, 007 ,"x\n,y"')
    assert rows.columns == ("shop", 'a "b"')
    items = list(rows)
    assert [item.text for item in items] == ["很好", " 007 "]
    assert [json.loads(item.data or b"") for item in items] == [
        {"shop": "甲店", 'a "b"': ""},
        {"shop": "", 'a "b"': "x\n,y"},
    ]
    assert items[0].data == '{"shop":"甲店","a \\"b\\"":""}'.encode()


def test_the_text_column_is_chosen_and_may_be_the_only_one() -> None:
    assert list(table("评论\n很好\n", "评论")) == [Item("很好", 2)]
    assert [item.text for item in table("a,\n1,很好\n", "")] == ["很好"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("只有一格", ItemError.INVALID_ROW),
        ("a,b,c", ItemError.INVALID_ROW),
        ('"a"b,c', ItemError.INVALID_ROW),
        (",有店无文", ItemError.EMPTY_TEXT),
        (f"{'长' * 101},x", ItemError.TEXT_TOO_LONG),
        (f"好,{'x' * 2048}", ItemError.INVALID_DATA),
        ("x" * 10_001, ItemError.LINE_TOO_LONG),
    ],
)
def test_a_row_that_cannot_be_scored_has_its_line(row: str, code: ItemError) -> None:
    before, bad, behind = table(f'text,shop\n"两\n行",甲\n\n{row}\n好,乙\n')
    assert (before.line, bad.error, bad.line, behind.line) == (None, code, 5, None)
    chunk = Chunk("job", 0, [before, bad, behind])
    assert [item.line for item in decode_chunk("job", 0, encode_chunk(chunk)).items] == [None, 5, None]


def test_a_row_whose_text_cannot_be_scored_keeps_its_data() -> None:
    (item,) = table("text,shop\n ,甲\n")
    assert (item.error, item.data) == (ItemError.EMPTY_TEXT, '{"shop":"甲"}'.encode())


def test_a_header_that_does_not_fit_is_refused_and_named() -> None:
    assert refusal("评论,店\n好,甲\n") == (
        *("?text_column", "unknown_column"),
        "the header has no column `text`; it has `评论`, `店`.",
    )
    many = refusal(",".join(f"c{i}" for i in range(900)), "x" * 90)[2]
    assert many.endswith("`c19`, ….")
    assert len(many) < 300
    assert refusal("a,text,a,b,b\n")[1:] == (
        "invalid_header",
        "the header names a column more than once: `a`, `b`.",
    )
    assert refusal("text,店\n".encode("gb18030"))[1] == "invalid_header"
    assert refusal('\ntext,"a"b\n')[2] == (
        "the header, in line 2, cannot be read: "
        "it has text behind a closing quote, or a CR alone outside of quotes."
    )
    assert "CR alone" in refusal("text,店\r好,甲\r")[2]
    assert "more than 10000 bytes" in refusal("text," + "a" * 10_000)[2]
    assert "2048 bytes" in refusal("text," + ",".join(f"column{i}" for i in range(200)))[2]


@pytest.mark.parametrize(("body", "has"), [("text,店,日\n好,甲,1\n", "`店`, `日`"), ("text\n好\n", "none")])
def test_a_column_that_data_has_not_is_refused_and_named(body: str, has: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        table(body).require("text", "?summarize_by")
    (error,) = caught.value.errors
    assert (error["pointer"], error["code"]) == ("?summarize_by", "unknown_column")
    assert error["detail"] == f"`data` has no column `text`; it has {has}."


def test_columns_of_data_are_not_refused() -> None:
    table("text,店\n好,甲\n").require("店", "?summarize_by")
    table("").require("店", "?summarize_by")


@pytest.mark.parametrize("body", ["", "\n\n", "\ufeff"])
def test_a_body_without_a_header_has_no_items(body: str) -> None:
    rows = table(body)
    assert (rows.empty, rows.columns, list(rows)) == (True, (), [])
