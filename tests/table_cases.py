"""Damaged and odd files of rows, and what a reader of tables makes of each."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

# Neither UTF-8 nor GB18030.
_BROKEN = b"id,text\n1,\xff\xff\n"


@dataclass(frozen=True)
class TableCase:
    """A file and its outcome.

    `texts` are those of its rows in order, None where there is nothing to score. `problems` are the codes of
    rows that cannot be scored, by their place. `refused`, if not empty, is a part of the message that refuses
    the file, before anything is sent.
    """

    file: str
    content: bytes
    column: str | None = "text"
    texts: tuple[str | None, ...] = ()
    problems: tuple[tuple[int, str], ...] = ()
    refused: str = ""


CASES: dict[str, TableCase] = {
    "plain": TableCase("a.csv", "id,text\n1,很好\n2,不好\n".encode(), texts=("很好", "不好")),
    "a byte order mark": TableCase("a.csv", codecs.BOM_UTF8 + "text,id\n很好,1\n".encode(), texts=("很好",)),
    "UTF-16 with a mark": TableCase(
        "a.csv", codecs.BOM_UTF16_LE + "text\tid\r\n很好\t1\r\n".encode("utf-16-le"), texts=("很好",)
    ),
    "UTF-16 without a mark": TableCase(
        "a.csv", "id,text\n1,hen hao\n".encode("utf-16-be"), texts=("hen hao",)
    ),
    "GBK": TableCase("a.csv", "编号,评论\n1,很好\n".encode("gbk"), "评论", ("很好",)),
    "GB18030 with a character beyond GBK": TableCase(
        "a.csv", "编号,评论\n1,很好😊\n".encode("gb18030"), "评论", ("很好😊",)
    ),
    "semicolons": TableCase(
        "a.csv", "id;text;price\n1;很好;1,5\n2;不好;2,5\n".encode(), texts=("很好", "不好")
    ),
    "tabs under .csv": TableCase("a.csv", "id\ttext\n1\t很好，便宜\n".encode(), texts=("很好，便宜",)),
    "bars": TableCase("a.txt", "id|text\n1|很好, 便宜\n".encode(), texts=("很好, 便宜",)),
    "delimiters and lines in a cell": TableCase(
        "a.csv", 'id,text\n1,"一,二\n三 ""四"""\n2,好\n'.encode(), texts=('一,二\n三 "四"', "好")
    ),
    "CR LF": TableCase("a.csv", "id,text\r\n1,很好\r\n".encode(), texts=("很好",)),
    "CR alone": TableCase("a.csv", "id,text\r1,很好\r2,不好\r".encode(), texts=("很好", "不好")),
    "no line end at the end": TableCase("a.csv", "id,text\n1,很好".encode(), texts=("很好",)),
    "blank lines": TableCase("a.csv", "\nid,text\n\n1,很好\n\n\n".encode(), texts=("很好",)),
    "one column with an empty cell": TableCase(
        "a.csv", "text\n很好\n\n不好\n".encode(), texts=("很好", None, "不好")
    ),
    "empty and white cells": TableCase(
        "a.csv", "id,text\n1,\n2, \n3,\u3000\n".encode(), texts=(None, None, None)
    ),
    "a row too short and one too long": TableCase(
        "a.csv",
        "id,text,shop\n1,好\n2,坏,南山,多\n3,中,福田\n".encode(),
        texts=(None, None, "中"),
        problems=((0, "invalid_row"), (1, "invalid_row")),
    ),
    "a quote inside of a bare cell": TableCase("a.csv", 'id,text\n1,5" 屏幕\n'.encode(), texts=('5" 屏幕',)),
    "a header alone": TableCase("a.csv", b"id,text\n"),
    "spaces around the name": TableCase("a.csv", "id, text \n1,好\n".encode(), texts=("好",)),
    "a name used twice, not that of the text": TableCase(
        "a.csv", "id,id,text\n1,2,好\n".encode(), texts=("好",)
    ),
    "nothing": TableCase("a.csv", b"", refused="is empty"),
    "white space alone": TableCase("a.csv", b" \n\n", refused="has no header"),
    "no such column": TableCase("a.csv", b"id,review\n1,a\n", refused="There is no column “text”"),
    "the column twice": TableCase("a.csv", b"text,text\na,b\n", refused="occurs at places 1 and 2"),
    "neither UTF-8 nor GB18030": TableCase("a.csv", _BROKEN, refused="line 2 is no UTF-8"),
    "zero bytes": TableCase("a.csv", bytes(range(256)) * 4, refused="it is no text"),
    "lines of objects": TableCase(
        "a.jsonl",
        '{"text": "很好", "n": 1}\n\n{"text": null}\n{"n": 2}\n{"text": 4.5}\n'.encode(),
        texts=("很好", None, None, "4.5"),
    ),
    "lines that are no objects": TableCase(
        "a.jsonl",
        '{"text": "好"}\n{"text": \n[1]\n{"text": [1]}\n'.encode(),
        texts=("好", None, None, None),
        problems=((1, "invalid_json"), (2, "invalid_line"), (3, "invalid_text")),
    ),
    "no object at all": TableCase("a.jsonl", b"[1]\n", refused="no line that is a JSON object"),
}

# The quote is found when the rows are read, not when the file is opened.
UNCLOSED = TableCase("a.csv", 'id,text\n1,好\n2,"坏\n3,中\n'.encode(), refused="row that begins in line 3")
