"""Standard output and standard error of a program that must not stop for a character."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from tasks.log_format import one_line


def replace_unencodable() -> None:
    """Let both streams write a question mark for a character that their encoding lacks, such as 😊 in GBK."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines with aligned columns; a cell cannot steer the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        one_line("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        for row in rows
    )
