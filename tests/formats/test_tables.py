"""Any table in, the same table out with the verdicts; XLSX and Parquet as their own libraries read them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font
from pyarrow import parquet
from sentiq.tables import workbook_writers
from sentiq.tables.formats import Output, format_of, open_table
from sentiq.tables.source import Source
from sentiq.tables.table import Names, TableError, Target, Verdict, Wanted

from tests.table_cases import CASES

ADDED = ("label", "confidence", "score", "error")
NAMES = ["编号", "评论", "店铺"]
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=12)


def rewritten(path: Path, to: str, wanted: Wanted = Wanted("评论")) -> bytes:  # noqa: B008  frozen
    """Return the table with a verdict on each row that has a text; its score is the place of the row."""
    table = open_table(Source.of(str(path), io.BytesIO()), format_of(path.name, None, "--format"), wanted)
    output, file = Output(to, Target()), io.BytesIO()
    columns = output.columns(table)
    writer = output.writer(file, table, columns)
    for place, row in enumerate(output.rows(table, columns)):
        has_text = row.text is not None
        writer.write(row, Verdict("positive", 0.75, float(place)) if has_text else Verdict(error=row.problem))
    writer.close()
    return file.getvalue()


def verdicts(texts: Sequence[str | None]) -> list[tuple[Any, ...]]:
    return [
        ("positive", 0.75, float(place), None) if text and not text.isspace() else (None, None, None, None)
        for place, text in enumerate(texts)
    ]


def in_folder(write: Callable[[Path], None], name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        write(path)
        yield path


def csv_rows(content: bytes, codec: str = "utf-8", delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(codec), newline=""), delimiter=delimiter))


def typed(row: Sequence[str]) -> tuple[Any, ...]:
    label, confidence, score, error = row
    return (
        label or None,
        float(confidence) if confidence else None,
        float(score) if score else None,
        error or None,
    )


def workbook(path: Path, rows: Sequence[Sequence[Any]], title: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def sheet_rows(content: bytes, sheet: str = "Sheet1") -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(io.BytesIO(content))[sheet].iter_rows(values_only=True))


# -- any table


@settings(max_examples=60, deadline=None)
@given(
    ROWS,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_rows_come_out_as_they_were(
    rows: list[tuple[str, ...]], codec: str, delimiter: str, newline: str
) -> None:
    def write(path: Path) -> None:
        with path.open("w", encoding=codec, newline="") as file:
            lines = csv.writer(file, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL)
            lines.writerows([NAMES, *rows])

    for path in in_folder(write, "in.csv"):
        found = csv_rows(rewritten(path, "csv"), codec, delimiter)
        assert found[0] == [*NAMES, *ADDED]
        assert [tuple(row[:3]) for row in found[1:]] == rows
        assert [typed(row[3:]) for row in found[1:]] == verdicts([row[1] for row in rows])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from([*NAMES, "n"]), st.none() | CELLS | st.integers() | st.lists(CELLS))
    )
)
def test_any_lines_come_out_with_their_text(objects: list[dict[str, Any]]) -> None:
    lines = [json.dumps(each | {"评论": "好"}, ensure_ascii=False) for each in objects]
    for path in in_folder(
        lambda path: _ignored(path.write_text("\n".join(lines), encoding="utf-8")), "in.jsonl"
    ):
        if not lines:
            with pytest.raises(TableError):
                rewritten(path, "jsonl")
            return
        found = rewritten(path, "jsonl").decode().split("\n")[:-1]
        assert all(new.startswith(old[:-1]) for new, old in zip(found, lines, strict=True))
        assert [json.loads(new)["score"] for new in found] == [float(place) for place in range(len(lines))]


def _ignored(_: object) -> None:
    """Make an expression a statement."""


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 20))
def test_any_parquet_comes_out_with_its_schema(rows: list[tuple[str, ...]], group: int) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    table = pa.table(dict(zip(NAMES, columns, strict=True))).cast(
        pa.schema([(name, pa.string()) for name in NAMES])
    )
    table = table.replace_schema_metadata({"by": "a test"}).append_column(
        "n", pa.array(range(len(rows)), pa.int16())
    )
    for path in in_folder(lambda path: parquet.write_table(table, path, row_group_size=group), "in.parquet"):
        found = parquet.read_table(io.BytesIO(rewritten(path, "parquet")))
        assert found.select(range(4)).equals(table)
        assert found.schema.metadata[b"by"] == b"a test"
        assert list(zip(*(found.column(name).to_pylist() for name in ADDED), strict=True)) == verdicts(
            columns[1]
        )
        cells = csv_rows(rewritten(path, "csv"))
        assert [tuple(row[:3]) for row in cells[1:]] == rows


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            CELLS, st.text("好=+-@ 1", max_size=5), st.integers() | st.floats(-1e9, 1e9) | st.booleans()
        )
    )
)
def test_any_table_becomes_a_workbook_and_comes_back(rows: list[tuple[Any, ...]]) -> None:
    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([NAMES, *rows])

    for path in in_folder(write, "in.csv"):
        content = rewritten(path, "xlsx")
        book = openpyxl.load_workbook(io.BytesIO(content))
        assert not [cell for row in book.active for cell in row if cell.data_type == "f"], (
            "no formula is made"
        )
        second = path.with_name("second.xlsx")
        second.write_bytes(content)
        wanted = Wanted("评论")
        texts = [row.text for row in open_table(Source.of(str(second), io.BytesIO()), "xlsx", wanted).rows()]
        assert texts == [row[1] if row[1].strip() else None for row in rows]


# -- workbooks


@pytest.fixture(params=["formatted", "streamed"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "streamed":
        monkeypatch.setattr(workbook_writers, "MAX_FORMATTED_ROWS", 0)
    return str(request.param)


@pytest.mark.usefixtures("mode")
def test_a_workbook_keeps_its_sheets_and_its_values(tmp_path: Path) -> None:
    day = dt.datetime(2026, 11, 27, 10, 30)  # noqa: DTZ001  a sheet knows no zones
    path = workbook(tmp_path / "in.xlsx", [["说明", "没有评论列"], [1, day]], "说明")
    book = openpyxl.load_workbook(path)
    rows: list[list[Any]] = [
        NAMES,
        [1, "很好", "南山店"],
        [2, None, "福田店"],
        [None],
        [3, 4.5, day],
        [4, day.replace(hour=0, minute=0), "=1"],
    ]
    sheet = book.create_sheet("评价")
    for row in rows[:-1]:
        sheet.append(row)
    sheet.append(rows[-1][:2])
    sheet.cell(6, 3).value = "=1"
    sheet.cell(6, 3).data_type = "s"
    book.create_sheet("空")
    book.save(path)
    content = rewritten(path, "xlsx")
    after = openpyxl.load_workbook(io.BytesIO(content))
    assert after.sheetnames == ["说明", "评价", "空"]
    assert sheet_rows(content, "说明")[1] == (1, day)
    found = sheet_rows(content, "评价")
    assert [list(row[:3]) for row in found] == [[*row, *[None] * (3 - len(row))] for row in rows]
    assert found[0][3:] == ADDED
    texts = ["很好", None, None, "4.5", "2026-11-27"]
    assert [row[3:] for row in found[1:]] == verdicts(texts)
    assert after["评价"].cell(6, 3).data_type == "s"
    assert content == rewritten(path, "xlsx"), "no time is written"


def test_a_small_workbook_keeps_formats_and_formulas(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["评论", "n"], ["很好", 1], ["不好", "=B2+1"]])
    book = openpyxl.load_workbook(path)
    book.active["A1"].font = book.active["B1"].font = Font(bold=True, name="Kai")
    book.active.column_dimensions["A"].width = 44
    book.active["B2"].number_format = "0.00"
    book.save(path)
    after = openpyxl.load_workbook(io.BytesIO(rewritten(path, "xlsx"))).active
    assert (after["A1"].font.name, after["C1"].font.name, after["C1"].font.b) == ("Kai", "Kai", True)
    assert (after.column_dimensions["A"].width, after["B2"].number_format) == (44, "0.00")
    assert after["B3"].value == "=B2+1"


@pytest.mark.usefixtures("mode")
def test_a_formula_without_a_value_is_its_own_text(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["评论"], ['="很"&"好"'], ["不好"]])
    table = open_table(Source.of(str(path), io.BytesIO()), "xlsx", Wanted())
    assert [row.text for row in table.rows()] == ['="很"&"好"', "不好"]
    after = openpyxl.load_workbook(io.BytesIO(rewritten(path, "xlsx"))).active
    assert (after["A2"].value, after["A2"].data_type) == ('="很"&"好"', "f")


def test_a_formula_has_the_value_that_the_file_holds(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["评论"], ['="很"&"好"']])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = (
        parts[sheet].replace(b'<c r="A2">', b'<c r="A2" t="str">').replace(b"<v></v>", "<v>很好</v>".encode())
    )
    parts[sheet] = (
        parts[sheet].replace(b"<v />", "<v>很好</v>".encode()).replace(b"<v/>", "<v>很好</v>".encode())
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    table = open_table(Source.of(str(path), io.BytesIO()), "xlsx", Wanted())
    assert [row.text for row in table.rows()] == ["很好"]


def test_cells_right_of_the_header_are_kept_left_of_the_verdicts(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [[None], [None, "评论"], [1, "很好", None, "远"]])
    found = sheet_rows(rewritten(path, "xlsx"))
    assert found[1] == (None, "评论", None, None, *ADDED)
    assert found[2][:5] == (1, "很好", None, "远", "positive")
    assert csv_rows(rewritten(path, "csv"))[0] == ["A", "评论", "C", "D", *ADDED]


REFUSED: dict[str, tuple[Callable[[Path], object], Wanted, str]] = {
    "no column": (
        lambda path: workbook(path, [["a", "b"], [1, 2]]),
        Wanted("评论"),
        "There is no column “评论”",
    ),
    "no sheet": (
        lambda path: workbook(path, [["a"]]),
        Wanted("a", sheet="x"),
        "Name one with --sheet: “Sheet1”",
    ),
    "nothing": (lambda path: workbook(path, []), Wanted("a"), "is empty"),
    "no archive": (lambda path: path.write_bytes(b"PK no"), Wanted("a"), "is no workbook"),
    "an old workbook": (
        lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(99)),
        Wanted("a"),
        "old .xls",
    ),
    "no workbook inside": (lambda path: zipfile.ZipFile(path, "w").close(), Wanted("a"), "is damaged"),
}


@pytest.mark.parametrize(("make", "wanted", "told"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_workbook_is_refused(
    make: Callable[[Path], object], wanted: Wanted, told: str, tmp_path: Path
) -> None:
    make(tmp_path / "in.xlsx")
    with pytest.raises(TableError, match=told):
        rewritten(tmp_path / "in.xlsx", "csv", wanted)


def test_a_bomb_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["评论"], ["好"]])
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("xl/media/a", "w") as entry,
    ):
        for _ in range(40):
            entry.write(bytes(2**20))
    with pytest.raises(TableError, match="may be an attack"):
        rewritten(path, "csv")


def test_entities_are_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["评论"], ["好"]])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "xl/worksheets/sheet2.xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
        )
    with pytest.raises(TableError, match="declares entities"):
        rewritten(path, "csv")


def test_a_cell_too_long_for_a_workbook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("评论\n" + "好" * 32_768 + "\n", encoding="utf-8")
    with pytest.raises(TableError, match="32,767"):
        rewritten(path, "xlsx")


# -- Parquet


def test_numbers_dates_and_nulls_in_the_text_column_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    for values, texts in (
        ([1.5, None, float("nan")], ["1.5", None, None]),
        ([dt.datetime(2026, 11, 27), None], ["2026-11-27", None]),  # noqa: DTZ001
        (pa.array(["好", None, "好"]).dictionary_encode(), ["好", None, "好"]),
    ):
        parquet.write_table(pa.table({"评论": values}), path)
        table = open_table(Source.of(str(path), io.BytesIO()), "parquet", Wanted())
        assert [row.text for row in table.rows()] == texts


def test_row_groups_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    table = pa.table({"评论": ["好"] * 30_000})
    parquet.write_table(table, path, row_group_size=10_000)
    after = parquet.ParquetFile(io.BytesIO(rewritten(path, "parquet"))).metadata
    assert [after.row_group(place).num_rows for place in range(after.num_row_groups)] == [10_000] * 3


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(99) + b"PAR1"])
def test_a_damaged_parquet_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(content)
    with pytest.raises(TableError, match="is no Parquet, or damaged"):
        rewritten(path, "csv")


SECOND = Names("label_2", "confidence_2", "score_2", "error_2")
FORMATS = ("csv", "tsv", "jsonl", "xlsx", "parquet")


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FORMATS, 2)))
def test_every_format_becomes_every_other(first: str, second: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(CASES["plain"].content)
    one = tmp_path / f"one.{first}"
    one.write_bytes(rewritten(tmp_path / "in.csv", first, Wanted("text")))
    two = tmp_path / f"two.{second}"
    table = open_table(Source.of(str(one), io.BytesIO()), first, Wanted("text"))
    assert [row.text for row in table.rows()] == ["很好", "不好"]
    assert list(table.columns) == ["id", "text", *ADDED]
    output, file = Output(second, Target(SECOND)), io.BytesIO()
    columns = output.columns(table)
    writer = output.writer(file, table, columns)
    for row in output.rows(table, columns):
        writer.write(row, Verdict("positive", 0.5, 0.25))
    writer.close()
    two.write_bytes(file.getvalue())
    again = open_table(Source.of(str(two), io.BytesIO()), second, Wanted("text"))
    assert [row.text for row in again.rows()] == ["很好", "不好"]
    assert list(again.columns) == ["id", "text", *ADDED, *SECOND]


ROW = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>好{0}</t></is></c></row>'


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_sheet_of_all_rows_is_read_and_one_more_is_refused(tmp_path: Path) -> None:
    small = workbook(tmp_path / "small.xlsx", [["评论"], ["好"]])
    with zipfile.ZipFile(small) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    head, _, rest = parts[sheet].partition(b"</sheetData>")
    for rows in (1_048_576, 1_048_577):
        path = tmp_path / f"{rows}.xlsx"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                more = "".join(ROW.format(number) for number in range(3, rows + 1)).encode()
                archive.writestr(name, head + more + b"</sheetData>" + rest if name == sheet else content)
        if rows > 1_048_576:
            with pytest.raises(TableError, match="more than 1,048,576 rows"):
                open_table(Source.of(str(path), io.BytesIO()), "xlsx", Wanted())
            continue
        table = open_table(Source.of(str(path), io.BytesIO()), "xlsx", Wanted())
        assert sum(row.text is not None for row in table.rows()) == rows - 1
