"""What reads and writes tables in the page, against Python's own readers and writers."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import random
import zipfile
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from openpyxl import Workbook, load_workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from playwright.sync_api import Page

from tests.browser.files import as_csv

READ_CSV = """async ([text, delimiter]) => {
  const { csvRows, delimiterOf } = await import("/static/table/csv.js");
  return { rows: [...csvRows(text, delimiter)], delimiter: delimiterOf(text) };
}"""
WRITE_CSV = """rows => import("/static/table/csv.js").then(({ csvLine }) => rows.map(csvLine).join(""))"""
DEFUSE = """cells => import("/static/table/csv.js").then(({ defused }) => cells.map(defused))"""
READ_XLSX = """async (encoded) => {
  const { xlsxTable } = await import("/static/table/xlsx.js");
  const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
  try {
    const { rows, sheet } = await xlsxTable(new Blob([bytes]));
    return { sheet, rows: [...rows()] };
  } catch ({ code, message }) {
    return { code: code ?? message };
  }
}"""
WRITE_XLSX = """async (rows) => {
  const { xlsxOf } = await import("/static/table/sheet.js");
  const bytes = new Uint8Array(await (await xlsxOf(rows)).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}"""
SURVEY = """async ([text, maxRows]) => {
  const { openTable, surveyed } = await import("/static/table/table.js");
  try {
    return surveyed(await openTable(new Blob([text]), "a.csv"), maxRows);
  } catch ({ code, values }) {
    return { code, values };
  }
}"""
PIECES = ("好", "a", ",", ";", "\t", '"', "\n", "\r\n", " ", "，", "😀", "=", "'", "")


def read_xlsx(page: Page, content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(READ_XLSX, base64.b64encode(content).decode())
    return found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_as_python_writes_it(page: Page, delimiter: str) -> None:
    source = random.Random(7)
    rows = [["".join(source.choices(PIECES, k=source.randrange(6))) for _ in range(3)] for _ in range(400)]
    found = page.evaluate(READ_CSV, [as_csv(rows, delimiter), delimiter])
    assert found["rows"] == rows
    header = as_csv([["a", "b", "c,;"]], delimiter)
    assert page.evaluate(READ_CSV, [header, delimiter])["delimiter"] == delimiter


def test_csv_is_written_as_python_reads_it(page: Page) -> None:
    source = random.Random(8)
    rows = [["".join(source.choices(PIECES, k=source.randrange(6))) for _ in range(2)] for _ in range(400)]
    assert list(csv.reader(io.StringIO(page.evaluate(WRITE_CSV, rows), newline=""))) == rows
    assert page.evaluate(WRITE_CSV, [[""]]) == '""\r\n'  # a row, and no blank line


def test_no_cell_is_run_as_a_formula(page: Page) -> None:
    cells = ["=1", "+1", "-1", "@SUM(1)", "\tx", "\nx", "\uff1d1", "正常", "1"]
    assert page.evaluate(DEFUSE, cells) == ["'" + cell for cell in cells[:7]] + cells[7:]


def test_values_of_a_spreadsheet_become_text(page: Page) -> None:
    book, content = Workbook(), io.BytesIO()
    hidden = book.active
    assert hidden is not None
    hidden.sheet_state = "hidden"
    hidden.append(["not", "this"])
    sheet = book.create_sheet("评论 & <表>")
    rich = CellRichText("房间", TextBlock(InlineFont(b=True), "很干净"))
    sheet.append(["评论", "评分", "日期", "时刻", "时间", "对", "空", "末"])
    moments = (dt.date(2026, 11, 27), dt.datetime(2026, 11, 27, 8, 30, 5), dt.time(8, 30))  # noqa: DTZ001
    sheet.append([rich, 4.5, *moments, True, None, 'a "b" <c> & d\n第二行'])
    sheet.append([None, None, None])
    sheet.append(["汤洒了", 100000])
    book.save(content)
    assert read_xlsx(page, content.getvalue()) == {
        "sheet": "评论 & <表>",
        "rows": [
            ["评论", "评分", "日期", "时刻", "时间", "对", "空", "末"],
            [
                "房间很干净",
                "4.5",
                "2026-11-27",
                "2026-11-27 08:30:05",
                "08:30:00",
                "TRUE",
                "",
                'a "b" <c> & d\n第二行',
            ],
            ["汤洒了", "100000"],
        ],
    }


def test_a_spreadsheet_that_is_written_is_read_by_others(page: Page) -> None:
    rows = [["评论", "score"], ["=1+1", 0.25], ['<a> & "b"\n\x01\ud800', -1], ["", None], ["长" * 40_000, 3]]
    content = base64.b64decode(page.evaluate(WRITE_XLSX, rows))
    sheet = load_workbook(io.BytesIO(content)).active
    assert sheet is not None
    found = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert found[:3] == [["评论", "score"], ["=1+1", 0.25], ['<a> & "b"\n\ufffd\ufffd', -1]]
    assert found[3] == [None, None]
    assert found[4] == ["长" * 32_767, 3]
    assert sheet["A2"].data_type != "f"
    assert read_xlsx(page, content)["rows"][1] == ["=1+1", "0.25"]


def archive(parts: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for path, part in parts.items():
            file.writestr(path, part)
    return content.getvalue()


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"xl/workbook.xml": bytes(20_000_000)}, "zip_bomb"),
        ({"word/document.xml": b"<document/>"}, "unreadable_xlsx"),
        ({"xl/workbook.xml": b"<workbook><sheets/></workbook>"}, "unreadable_xlsx"),
        ({"xl/workbook.xml": b'<workbook><sheets><sheet name="a"'}, "unreadable_xlsx"),
    ],
)
def test_a_hostile_or_broken_archive_is_refused(page: Page, parts: dict[str, bytes], code: str) -> None:
    assert read_xlsx(page, archive(parts)) == {"code": code}


def test_a_table_is_surveyed(page: Page) -> None:
    rows = [
        ["", "短", "评论"],
        *[["x", f"店{at % 2}", f"第{at}位客人说很好"] for at in range(30)],
        ["x"],
        [*"abcd"],
    ]
    found = page.evaluate(SURVEY, [as_csv(rows), 100])
    assert found["header"] == ["A", "短", "评论"]  # a column without a name gets its letter
    assert (found["rows"], found["wide"], found["text"]) == (32, 1, 2)
    assert found["groups"] == ["A", "短"]
    assert len(found["sample"]) == 20
    assert page.evaluate(SURVEY, [as_csv(rows), 31]) == {"code": "too_many_rows", "values": {"limit": 31}}
