"""`sentiq score` on XLSX and Parquet, cut and run again: the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.client.command import sentiq, started
from tests.conftest import eventually

ROWS = 1500
pytestmark = pytest.mark.timeout(150)


def write_table(path: Path) -> None:
    texts = [f"第{number}次来，味道不错" if number % 3 else None for number in range(ROWS)]
    shops = ["南山店" if number % 2 else "福田店" for number in range(ROWS)]
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({"评论": texts, "店铺": shops}), path, row_group_size=500)
        return
    book = openpyxl.Workbook()
    for row in [("评论", "店铺"), *zip(texts, shops, strict=True)]:
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize("suffix", ["xlsx", "parquet"])
def test_a_run_that_is_cut_goes_on_with_the_same_bytes(suffix: str, live_url: str, tmp_path: Path) -> None:
    write_table(tmp_path / f"in.{suffix}")
    arguments = ["score", f"in.{suffix}", "-c", "评论", "--by", "店铺", "--json", "-o"]
    process = started(tmp_path, live_url, *arguments, f"out.{suffix}")
    state = tmp_path / f"out.{suffix}.sentiq.json"
    eventually(lambda: state.exists() and json.loads(state.read_text("utf-8"))["segments"][0]["job"])
    process.kill()
    process.communicate()
    done = sentiq(tmp_path, live_url, *arguments, f"out.{suffix}")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["scored"], summary["empty"]) == (ROWS, ROWS * 2 // 3, ROWS // 3)
    assert {each["value"]: each["rows"] for each in summary["groups"]} == {
        "南山店": ROWS // 2,
        "福田店": ROWS // 2,
    }
    whole = sentiq(tmp_path, live_url, *arguments, f"whole.{suffix}")
    assert whole.returncode == 0, whole.stderr
    assert (tmp_path / f"whole.{suffix}").read_bytes() == (tmp_path / f"out.{suffix}").read_bytes()
