"""Runs of the command `sentiq score`: their time and their memory above that of its imports."""

from __future__ import annotations

import csv
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from bench.program import BenchError
from local.processes import ROOT

COLUMN = "评论"
_GROUP_ROWS = 100_000
_SAMPLE_S = 0.02
# pyarrow imports pandas with its first array, where pandas is installed.
_IMPORTS = {
    ".csv": "import sentiq.command.main",
    ".parquet": "import sentiq.command.main, sentiq.tables.parquet, pyarrow; pyarrow.array([1])",
}


@dataclass(frozen=True)
class Scored:
    """A run: its seconds from start to end, and the peak of its memory and that of its imports, in MB."""

    seconds: float
    peak_mb: float
    import_mb: float

    @property
    def growth_mb(self) -> float:
        """Return the memory above that of the imports."""
        return round(self.peak_mb - self.import_mb, 1)


def write_table(path: Path, texts: Sequence[str], rows: int) -> None:
    """Write a table of the texts, again and again, with a number and a shop, by the suffix of the path."""
    numbered = zip(range(rows), itertools.cycle(texts))
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(["编号", COLUMN, "店铺"])
            lines.writerows((number, text, _shop(number)) for number, text in numbered)
        return
    schema = pa.schema([("编号", pa.int64()), (COLUMN, pa.string()), ("店铺", pa.string())])
    with parquet.ParquetWriter(path, schema) as file:
        for group in _groups(numbered):
            columns = [
                [number for number, _ in group],
                [text for _, text in group],
                [_shop(number) for number, _ in group],
            ]
            arrays = [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _shop(number: int) -> str:
    return f"{number % 20} 号店"


def _groups(rows: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    rows = iter(rows)
    while group := list(itertools.islice(rows, _GROUP_ROWS)):
        yield group


def score(url: str, path: Path) -> Scored:
    """Score the table with the command; raise BenchError if it fails."""
    output = path.with_name(f"scored{path.suffix}")
    command = [sys.executable, "-m", "sentiq.command", "score", str(path), "-c", COLUMN, "-o", str(output)]
    start = time.monotonic()
    process = subprocess.Popen(
        [*command, "--overwrite"], env=_environment(url), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        time.sleep(_SAMPLE_S)
    seconds = time.monotonic() - start
    _, told = process.communicate()
    if process.returncode:
        raise BenchError(f"sentiq score ended with {process.returncode}: {told.decode(errors='replace')}")
    output.unlink()
    return Scored(round(seconds, 2), peak, _import_mb(path.suffix))


def _import_mb(suffix: str) -> float:
    """Return the peak memory of a process that only imports what the command needs for a format."""
    code = f"{_IMPORTS[suffix]}; print(open('/proc/self/status').read())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=_environment(""), capture_output=True, text=True, check=True
    )
    return _high_water_mb(done.stdout)


def _environment(url: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("SENTIQ_")}
    return env | {"PYTHONPATH": str(ROOT / "client"), "SENTIQ_URL": url}


def _peak_mb(pid: int) -> float:
    try:
        return _high_water_mb(Path(f"/proc/{pid}/status").read_text("utf-8"))
    except (OSError, StopIteration):  # it has ended
        return 0.0


def _high_water_mb(status: str) -> float:
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1000, 1)
