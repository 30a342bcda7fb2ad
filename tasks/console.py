"""Standard output and standard error of a program that must not stop for a character."""

from __future__ import annotations

import io
import sys


def replace_unencodable() -> None:
    """Let both streams write a question mark for a character that their encoding lacks, such as 😊 in GBK."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
