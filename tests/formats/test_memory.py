"""Tables of any size need flat memory: Parquet with its largest row groups, which are the hardest."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from sentiq import Sentiq

from bench.load.command import score, write_table
from bench.load.open_loop import LOAD_TEST_SETTINGS
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, running_stack
from tests.client.command import environment

MAX_GROWTH_MB = 80
REWRITE = """
import io, re, sys
from pathlib import Path
import sentiq.tables.parquet
import pyarrow
from sentiq.tables.formats import Output, open_table
from sentiq.tables.source import Source
from sentiq.tables.table import Target, Verdict, Wanted

def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

pyarrow.array([1])
imports = peak_mb()
table = open_table(Source.of("in.parquet", io.BytesIO()), "parquet", Wanted("评论"))
output = Output("parquet", Target())
columns = output.columns(table)
with open("out.parquet", "wb") as file:
    writer = output.writer(file, table, columns)
    for place, row in enumerate(output.rows(table, columns)):
        writer.write(row, Verdict("positive", 0.75, float(place)))
    writer.close()
print(peak_mb() - imports)
"""


def test_one_large_row_group_is_rewritten_in_flat_memory(tmp_path: Path) -> None:
    rows, draw = 400_000, random.Random(1)
    texts = ["".join(draw.choices("味道不错服务周到环境一般价格偏高", k=40)) for _ in range(rows)]
    parquet.write_table(pa.table({"评论": texts}), tmp_path / "in.parquet", row_group_size=rows)
    done = subprocess.run(
        [sys.executable, "-c", REWRITE],
        cwd=tmp_path,
        env=environment(tmp_path, ""),
        capture_output=True,
        text=True,
        check=True,
    )
    after = parquet.ParquetFile(tmp_path / "out.parquet")
    assert after.metadata.num_row_groups > 1  # else a group would have to be kept whole
    assert after.read(["评论"]).column(0).to_pylist() == texts
    assert float(done.stdout) < MAX_GROWTH_MB


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_million_rows_are_scored_in_flat_memory(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that the service remembers, so that the model costs next to nothing."""
    for name, value in (LOAD_TEST_SETTINGS | {"SENTIMENT_CACHE_ROWS": "1000"}).items():
        monkeypatch.setenv(name, value)
    texts = [f"第{number}次来，味道不错" for number in range(50)]
    write_table(tmp_path / f"in.{suffix}", texts, 1_000_000)
    with (
        (tmp_path / "stack.log").open("w", encoding="utf-8") as log,
        running_stack(Plan(free_port()), Log(log)) as stack,
        Sentiq(stack.url) as client,
    ):
        stack.await_api(client)
        stack.score(client, texts[0])
        assert score(stack.url, tmp_path / f"in.{suffix}").growth_mb < MAX_GROWTH_MB
