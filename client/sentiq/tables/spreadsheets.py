"""Cells that a spreadsheet would run as a formula, made texts."""

from __future__ import annotations

import re

_RUN = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*%?")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def safe_cell(text: str) -> str:
    r"""Return a text that a spreadsheet shows and does not run; a number stays one.

    A text that begins like a formula gets a `'` in front, control characters become escapes (`\x1b`).
    """
    if text.startswith(_RUN) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
