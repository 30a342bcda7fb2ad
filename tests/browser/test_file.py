"""A file in the page: read in the worker, sent, scored, and given back with the verdicts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="pip install playwright: the browser tests drive Chromium")

from openpyxl import Workbook, load_workbook
from playwright.sync_api import Page, expect

from tests.browser.files import as_csv, choose, job_id, score, table

ROWS = table(120)


def downloaded(page: Page, name: str, folder: Path) -> Path:
    """Press a button and return the file that comes."""
    with page.expect_download() as coming:
        page.get_by_role("button", name=name).click()
    path: Path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    return path


def test_a_file_comes_back_with_its_columns_and_verdicts(page: Page, tmp_path: Path) -> None:
    score(page, "店.csv", as_csv(ROWS).encode(), by="店名")
    expect(page.locator(".job-head .state")).to_have_text("完成")
    expect(page.locator(".by-column .name")).to_have_text(["南山店", "福田店", "宝安店"])
    expect(page.locator(".by-column .number")).to_have_text(["40", "40", "40"])
    expect(page.locator(".examples section")).to_have_count(2)
    results = page.request.get(f"{page.evaluate('location.origin')}/v1/jobs/{job_id(page)}/results").json()[
        "data"
    ]

    path = downloaded(page, "下载 CSV", tmp_path)
    assert path.name == "店-sentiq.csv"
    text = path.read_text("utf-8-sig")
    assert path.read_bytes().startswith("\ufeff".encode())
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["店名", "评论", "备注", "label", "confidence", "score", "error"]
    assert [row[1] for row in rows] == [row[1] for row in ROWS[1:]]
    assert rows[7][2] == "'=1+7"  # no spreadsheet runs it
    assert [row[3] for row in rows] == [item["label"] for item in results]
    assert [float(row[4]) for row in rows] == [item["confidence"] for item in results]

    sheet = load_workbook(downloaded(page, "下载 XLSX", tmp_path)).active
    assert sheet is not None
    cells = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert cells[0] == header
    assert cells[8][:3] == [ROWS[8][0], ROWS[8][1], "=1+7"]
    assert sheet.cell(9, 3).data_type in ("s", "inlineStr")  # a text, not a formula
    assert [row[4] for row in cells[1:]] == [item["confidence"] for item in results]


def rows_shown(first: int, last: int, of: int) -> str:
    return f"第 {first}\N{EN DASH}{last} 行，共 {of} 行"


def test_rows_are_filtered_searched_ordered_and_paged(page: Page) -> None:
    score(page, "a.csv", as_csv(ROWS).encode())
    where, rows = page.locator(".where"), page.locator(".grid tbody tr")
    expect(where).to_have_text(rows_shown(1, 50, 120))
    page.get_by_role("button", name="下一页").click()
    expect(where).to_have_text(rows_shown(51, 100, 120))
    expect(rows.first.locator(".index")).to_have_text("51")
    page.get_by_role("button", name="下一页").click()
    expect(page.get_by_role("button", name="下一页")).to_be_disabled()
    expect(page.get_by_role("button", name="上一页")).to_be_focused()
    page.get_by_label("查找文字").fill("隔音")
    expect(where).to_have_text(rows_shown(1, 30, 30))
    page.get_by_label("只看").select_option("negative")
    expect(where).to_contain_text("没有这样的行")
    page.get_by_label("查找文字").fill("")
    expect(rows.first.locator(".label")).to_contain_text("负面")
    page.get_by_label("只看").select_option("")
    page.get_by_label("排序").select_option("unsure")
    expect(where).to_have_text(rows_shown(1, 50, 120))
    shares = [float(text.rstrip("%")) for text in rows.locator(".share").all_inner_texts()]
    assert shares == sorted(shares)
    expect(page.locator(".examples section").last.locator("tbody .share").first).to_have_text(f"{shares[0]}%")


def spreadsheet(rows: Sequence[Sequence[object]]) -> bytes:
    """Return rows as XLSX."""
    book, content = Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
        for cell in sheet[sheet.max_row]:
            cell.data_type = "s" if isinstance(cell.value, str) else cell.data_type  # else `=1` is a formula
    book.save(content)
    return content.getvalue()


def every_format() -> Iterator[tuple[str, bytes]]:
    plain = [[cell.replace("\n", " ") for cell in row] for row in ROWS[:9]]
    yield "utf-8.csv", as_csv(plain).encode()
    yield "mark.csv", as_csv(plain).encode("utf-8-sig")
    yield "utf-16.csv", as_csv(plain).encode("utf-16")
    yield "gb18030.csv", as_csv(plain).encode("gb18030")
    yield "semicolon.csv", as_csv(plain, ";").encode()
    yield "tab.tsv", as_csv(plain, "\t").encode()
    yield "book.xlsx", spreadsheet(plain)
    lines = [json.dumps(dict(zip(plain[0], row, strict=True)), ensure_ascii=False) for row in plain[1:]]
    yield "lines.ndjson", "\n".join(lines).encode()


FORMATS = dict(every_format())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_alike(page: Page, name: str) -> None:
    choose(page, name, FORMATS[name])
    expect(page.locator("#file-start")).to_be_visible()
    expect(page.locator(".facts-line")).to_contain_text("8 行 · 3 列")
    expect(page.locator(".sample th")).to_have_text(["店名", "评论", "备注"])
    expect(page.locator("#file-column option:checked")).to_have_text("评论")
    expect(page.locator(".sample tbody tr").first.locator("td")).to_have_text(["南山店", ROWS[1][1], "=1+0"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.csv", b"", "文件是空的"),
        ("blank.csv", b"\r\n\r\n", "文件是空的"),
        ("header.csv", "评论\r\n".encode(), "文件只有列名"),
        ("twice.csv", "评论,店名,评论\r\n好,a,b\r\n".encode(), "有重名的列：评论"),
        ("quote.csv", '评论\r\n好\r\n"没有结束\r\n'.encode(), "第 3 行的引号没有结束"),
        ("picture.csv", bytes(range(256)) * 9, "读不出文字"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "这是旧的 XLS"),
        ("broken.xlsx", b"PK\x03\x04" + bytes(600), "读不出这个 XLSX"),
        ("nothing.ndjson", b"{}\n{}\n", "没有可以当作文字的列"),
        ("lines.ndjson", b'{"text":"a"}\n{"text"\n', "第 2 行不是 JSON"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(page: Page, name: str, content: bytes, said: str) -> None:
    choose(page, name, content)
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text(said)
    expect(page.locator("#file-choose")).to_be_visible()


GIVE = """([how, text]) => {
  const files = new DataTransfer();
  if (how === "text") files.setData("text/plain", text);
  else files.items.add(new File([text], "给.csv"));
  const way = { bubbles: true, cancelable: true };
  const event = how === "drop" ? new DragEvent("drop", { dataTransfer: files, ...way })
    : new ClipboardEvent("paste", { clipboardData: files, ...way });
  document.querySelector("#file-choose").dispatchEvent(event);
}"""


@pytest.mark.parametrize(
    ("how", "name"), [("text", "粘贴的表格.csv"), ("file", "给.csv"), ("drop", "给.csv")]
)
def test_a_table_is_pasted_or_dropped(page: Page, how: str, name: str) -> None:
    page.locator("[data-view=file]").click()
    page.evaluate(GIVE, [how, "店名\t评论\n南山店\t很好\n"])
    expect(page.locator(".facts-line")).to_contain_text(f"{name} TSV · 1 行 · 2 列")


def test_a_file_is_scored_with_the_keyboard_alone(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}#file")
    page.locator("#file-example").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#file-column")).to_be_focused()
    for _ in range(30):
        if page.evaluate("document.activeElement.id") == "file-start":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".job-head h2")).to_be_focused(timeout=30_000)
    expect(page.locator("#file-announce")).to_have_text("完成：6 行")
    expect(page.locator(".where")).to_contain_text("共 6 行")


def test_columns_are_chosen_and_long_ones_are_left_out(page: Page) -> None:
    wide = [["评论", "店名", "备注", "说明"], *([["很好", "南山店", "长" * 900, "短"] for _ in range(4)])]
    choose(page, "宽.csv", as_csv(wide).encode())
    ticked = page.locator(".ticks input:checked + span")
    expect(ticked).to_have_text(["店名", "说明"])
    expect(page.locator(".preview .note")).to_contain_text("1 列没有勾选")
    page.get_by_role("checkbox", name="备注").check()
    expect(page.get_by_role("checkbox", name="备注")).to_be_focused()
    page.locator("#file-start").click()
    alert = page.get_by_role("alert").filter(visible=True)
    expect(alert).to_contain_text("4 行的其他列超过 2 KiB")
    page.get_by_role("checkbox", name="备注").uncheck()
    page.get_by_role("checkbox", name="说明").uncheck()
    page.locator("#file-start").click()
    expect(page.locator(".where")).to_contain_text("共 4 行", timeout=30_000)
    results = page.request.get(f"{page.evaluate('location.origin')}/v1/jobs/{job_id(page)}/results").json()[
        "data"
    ]
    assert [item["data"] for item in results] == [{"店名": "南山店"}] * 4


def test_rows_that_fail_keep_their_text_and_columns(page: Page, tmp_path: Path) -> None:
    rows = [
        ["店名", "评论"],
        ["南山店", "很好"],
        ["福田店", "长" * 10_001],
        ["宝安店", "多", "一格"],
        ["龙岗店"],
    ]
    score(page, "坏.csv", as_csv(rows).encode())
    path = downloaded(page, "下载 CSV", tmp_path)
    _, *found = csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""))
    assert [row[:2] for row in found] == [rows[1], rows[2], rows[3][:2], ["龙岗店", ""]]
    assert [row[-1] for row in found] == ["", "text_too_long", "invalid_row", "empty_text"]
    page.get_by_label("只看").select_option("failed")
    expect(page.locator(".grid td.label")).to_have_text(["文本太长", "单元格数不对", "空白文本"])


def test_what_the_service_refuses_is_said_and_can_be_changed(page: Page) -> None:
    problem = {"title": "No", "status": 422, "code": "invalid_header", "detail": "told by a test"}
    page.route("**/v1/jobs?*", lambda route: route.fulfill(status=422, json=problem), times=1)
    choose(page, "a.csv", as_csv(ROWS).encode())
    page.locator("#file-start").click()
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("内容没有通过检查")
    expect(page.locator("#file-start")).to_be_visible()
    page.locator("#file-start").click()
    expect(page.locator(".where")).to_contain_text("共 120 行", timeout=30_000)
    page.locator("[data-view=jobs]").click()
    expect(page.locator(".jobs tbody tr").first).to_be_visible()
    expect(page.locator(".stopped")).to_have_count(0)  # nothing is left of the refused one


def test_another_language_keeps_what_was_chosen_and_what_is_shown(page: Page) -> None:
    choose(page, "a.csv", as_csv(ROWS).encode())
    page.locator("#file-by").select_option("店名")
    page.locator(".preview").get_by_role("switch", name="标出理由").check()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_label("Summarize by")).to_have_value("店名")
    expect(page.locator(".preview").get_by_role("switch", name="Show reasons")).to_be_checked()
    page.get_by_role("button", name="Start scoring").click()
    expect(page.locator(".where")).to_have_text("Rows 1\N{EN DASH}50 of 120", timeout=30_000)
    expect(page.locator(".grid mark").first).to_be_visible()
    expect(page.locator(".legend")).to_contain_text("pulls to positive")
    page.get_by_role("button", name="中文").click()
    expect(page.locator(".where")).to_have_text(rows_shown(1, 50, 120))
    expect(page.locator(".job-head .state")).to_have_text("完成")
