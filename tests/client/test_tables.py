"""Tables: every odd file is read as it says, and comes out with its cells and rows and the verdicts."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sentiq.tables.formats import Output, format_of, open_table
from sentiq.tables.source import Source
from sentiq.tables.spreadsheets import safe_cell
from sentiq.tables.table import NameClashError, Names, TableError, Target, Verdict, Wanted

from tests.table_cases import CASES, UNCLOSED, TableCase

NAMES = ("label", "confidence", "score", "error")


def rewritten(
    path: Path,
    wanted: Wanted = Wanted(),  # noqa: B008  frozen
    to: str | None = None,
    target: Target = Target(),  # noqa: B008  frozen
) -> bytes:
    """Give each row a verdict that names its place, and return the table as written."""
    table = open_table(Source.of(str(path), io.BytesIO()), format_of(path.name, None, "--format"), wanted)
    output = Output(to or format_of(path.name, None, "--format"), target)
    file = io.BytesIO()
    columns = output.columns(table)
    writer = output.writer(file, table, columns)
    for place, row in enumerate(output.rows(table, columns)):
        scored = row.text is not None
        writer.write(row, Verdict("positive", 0.75, place / 2) if scored else Verdict(error=row.problem))
    writer.close()
    return file.getvalue()


def in_file(folder: Path, case: TableCase) -> Path:
    path = folder / case.file
    path.write_bytes(case.content)
    return path


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_odd_file_is_read_or_refused_as_it_says(case: TableCase, tmp_path: Path) -> None:
    source = Source.of(str(in_file(tmp_path, case)), io.BytesIO())
    kind = format_of(case.file, None, "--format")
    if case.refused:
        with pytest.raises(TableError) as refused:
            open_table(source, kind, Wanted(case.column))
        assert case.refused in str(refused.value)
        assert str(refused.value).count(". ") + str(refused.value).endswith(".") >= 1
        return
    table = open_table(source, kind, Wanted(case.column))
    rows = list(table.rows())
    assert tuple(row.text for row in rows) == case.texts
    problems = tuple((place, row.problem) for place, row in enumerate(rows) if row.problem)
    assert problems == case.problems
    assert [row.text for row in table.rows()] == [row.text for row in rows], "a second pass is the same"


def test_commas_of_a_table_of_one_column_belong_to_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('评论\n很好,便宜\n"不,好"\n还行\n', encoding="utf-8")
    assert [row[0] for row in csv.reader(io.StringIO(rewritten(path).decode(), newline=""))] == [
        "评论",
        "很好,便宜",
        "不,好",
        "还行",
    ]


def test_a_quote_that_is_never_closed_names_its_row(tmp_path: Path) -> None:
    path = in_file(tmp_path, UNCLOSED)
    with pytest.raises(TableError, match=UNCLOSED.refused):
        rewritten(path)
    big = tmp_path / "big.csv"
    big.write_text('id,text\n1,"' + "好\n" * 600_000, encoding="utf-8")
    with pytest.raises(TableError, match=r"begins in line 2.*never closed"):
        rewritten(big)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_output_is_written_as_the_input_was(
    codec: str, delimiter: str, newline: str, tmp_path: Path
) -> None:
    chance = random.Random(delimiter + codec)
    rows = [["编号", "评论", "店铺"]] + [
        [str(n), "".join(chance.choices('好坏,;|\t"\n\r ab', k=9)), chance.choice(["南山", "", "=1+1"])]
        for n in range(60)
    ]
    path = tmp_path / "in.csv"
    with path.open("w", encoding=codec, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(rows)
    written = rewritten(path, Wanted("评论"))
    text = written.decode(codec)
    assert text.endswith(newline)
    assert codec != "utf-8-sig" or written.startswith(b"\xef\xbb\xbf")
    found = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    assert [row[:3] for row in found] == rows
    assert found[0][3:] == list(NAMES)
    assert [row[5] for row in found[1:]] == [
        str(place / 2) if row[1].strip() else "" for place, row in enumerate(rows[1:])
    ]


def test_bytes_that_cannot_be_decoded_are_kept_and_fail_their_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("id,text\n1,好\n2,\n".encode() + b"3,\xff\xfe\n" + b"4\xff,\xe5\xa5\xbd\n")
    lines = rewritten(path, Wanted(encoding="utf-8")).split(b"\n")
    assert lines[3] == b"3,\xff\xfe,,,,invalid_encoding"
    assert lines[4].startswith(b"4\xff,\xe5\xa5\xbd,positive,0.75,")


def test_cells_beyond_the_header_stand_behind_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,好,多\n2\n3,坏\n", encoding="utf-8")
    assert rewritten(path).decode().splitlines() == [
        "id,text,label,confidence,score,error",
        "1,好,,,,invalid_row,多",
        "2,,,,,invalid_row",
        "3,坏,positive,0.75,1.0,",
    ]


def test_lines_keep_their_text_to_the_byte(tmp_path: Path) -> None:
    lines = [
        '{"text":"好","n":1.50,"big":123456789012345678901}',
        '{ "text" : "\\u597d" , "a":[1, 2] }',
        "{}",
        "[1]",
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    verdict = '"label": "positive", "confidence": 0.75, "score": {}, "error": null}}'
    assert rewritten(path).decode().splitlines() == [
        lines[0][:-1] + ", " + verdict.format("0.0"),
        lines[1][:-2] + ", " + verdict.format("0.5"),
        '{"label": null, "confidence": null, "score": null, "error": null}',
        '{"line": "[1]", "label": null, "confidence": null, "score": null, "error": "invalid_line"}',
    ]


def test_rows_become_lines_and_lines_become_rows(tmp_path: Path) -> None:
    rows = tmp_path / "a.csv"
    rows.write_text("id,text\n1,好\n2,坏,多\n", encoding="utf-8")
    first, second = map(json.loads, rewritten(rows, to="jsonl").decode().splitlines())
    assert (first["id"], first["text"], first["score"]) == ("1", "好", 0.0)
    assert (second["extra_cells"], second["error"]) == (["多"], "invalid_row")
    lines = tmp_path / "a.jsonl"
    lines.write_text(
        '{"text": "好", "n": 1.5}\n{"text": "坏", "tags": ["a"], "half": "\\ud83d"}\n', encoding="utf-8"
    )
    found = list(csv.reader(io.StringIO(rewritten(lines, to="tsv").decode(), newline=""), delimiter="\t"))
    assert found[0] == ["text", "n", "tags", "half", *NAMES]
    assert found[1][:4] == ["好", "1.5", "", ""]
    assert found[2][:4] == ["坏", "", '["a"]', "\ufffd"]


@pytest.mark.parametrize(("columns", "name"), [(["id", "label"], "label"), (["id", "error"], "error")])
def test_a_name_that_is_taken_is_refused_with_what_to_do(columns: Sequence[str], name: str) -> None:
    with pytest.raises(NameClashError, match=f"--{name}-name {name}_2"):
        Names().check(columns)
    Names(**{name: f"{name}_2"}).check(columns)


@pytest.mark.parametrize(("columns", "name"), [(["id", "label"], "label"), (["id", "error"], "error")])
def test_a_default_name_that_is_taken_gets_a_prefix(columns: Sequence[str], name: str) -> None:
    names = Names.beside(columns, {"score": "分"})
    assert names == replace(Names(score="分"), **{name: f"sentiq_{name}"})
    with pytest.raises(NameClashError, match=f"--{name}-name sentiq_{name}_2"):
        Names.beside([*columns, f"sentiq_{name}"], {})


def test_a_field_of_a_line_that_is_taken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "好"}\n{"text": "坏", "score": 1}\n', encoding="utf-8")
    with pytest.raises(NameClashError, match="--score-name"):
        rewritten(path)


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+86 755", "'+86 755"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-好", "'-好"),
        ("-5", "-5"),
        ("+1.5%", "+1.5%"),
        ("\t=1", "'\t=1"),
        ("a\x1bb", "a\\x1bb"),
        ("好=1", "好=1"),
    ],
)
def test_a_spreadsheet_runs_no_cell(cell: str, safe: str, tmp_path: Path) -> None:
    assert safe_cell(cell) == safe
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], [cell, "好"]])
    written = rewritten(path, Wanted("text", delimiter=","), target=Target(excel=True))
    assert written.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))[1][0] == safe


def test_standard_input_is_read_as_often_as_a_file() -> None:
    source = Source.of("-", io.BytesIO("id,text\n1,好\n".encode()))
    table = open_table(source, "csv", Wanted())
    assert [row.text for row in table.rows()] == [row.text for row in table.rows()] == ["好"]
    assert source.identity()["size"] == source.size == 14


def test_the_identity_of_a_source_changes_with_its_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a" * 300_000)
    source = Source.of(str(path), io.BytesIO())
    before = source.identity()
    assert source.identity() == before
    path.write_bytes(b"a" * 150_000 + b"b" + b"a" * 149_999)
    assert source.identity()["sha256_of_samples"] != before["sha256_of_samples"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot be read: No such file"):
        Source.of(str(tmp_path / "none.csv"), io.BytesIO())
    with pytest.raises(TableError, match="--format"):
        format_of("reviews.docx", None, "--format")
