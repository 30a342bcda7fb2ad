"""Write CSV files that a spreadsheet opens correctly and safely."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tasks.cells import defused

WriteRow = Callable[[Iterable[object]], object]


@contextlib.contextmanager
def spreadsheet(path: Path) -> Iterator[WriteRow]:
    """Yield a function that writes a row; the file is at `path` once the block ends without an error.

    It is UTF-8 with a byte order mark, without which Excel reads another encoding, and no text in it is a
    formula. Raises OSError at once if the folder takes no files.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8-sig", newline="") as file:
            write = csv.writer(file).writerow
            yield lambda row: write(defused(cell) if isinstance(cell, str) else cell for cell in row)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
