"""Cells of CSV as a spreadsheet may open them."""

from __future__ import annotations

# A spreadsheet takes a text that begins so for a formula, or skips the first character to find one.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\r\n"
}


def defused(text: str) -> str:
    """Return a text as a spreadsheet may open it: without control characters, and no formula."""
    text = text.translate(_CONTROLS)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
