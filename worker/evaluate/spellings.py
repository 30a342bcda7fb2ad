"""What a file may write for a label: its id, one of its names, its number, or one of 0, n and 1."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.vocabulary.labels import LabelSet

_SIDES = {"0": "negative", "n": "neutral", "1": "positive"}
_THREE = set(_SIDES.values())
_TWO = {"negative", "positive"}


class SpellingError(ValueError):
    """What a file writes may stand for several labels. `line` is the line that shows it."""

    def __init__(self, line: int, cause: str) -> None:
        """Keep the line, and the cause as the message."""
        super().__init__(cause)
        self.line = line


def names_of(labels: LabelSet) -> Mapping[str, int]:
    """Return the number of each label by its id and its names, in lower case."""
    return {
        name.lower(): number
        for number, label in enumerate(labels)
        for name in (label.label_en, label.label_zh, label.id)
    }


def symbols_of(labels: LabelSet, lines: Mapping[str, int]) -> Mapping[str, int]:
    """Return the number of each label by the digits, or the letter n, that stand for it in a file.

    `lines` has all that the file writes, in lower case, each with its first line. Raises SpellingError.
    """
    ids = set(labels.ids)
    if ids == _TWO or (ids == _THREE and not _numbered(lines)):
        return {symbol: labels.ids.index(label) for symbol, label in _SIDES.items() if label in ids}
    if ids > _TWO and not any(written.isdecimal() and int(written) > 1 for written in lines):
        _require_sides(labels, lines)
    return {str(number): number for number in range(len(labels))}


def _numbered(lines: Mapping[str, int]) -> bool:
    """Return whether a file numbers three labels 0, 1 and 2. Raises SpellingError if it writes n as well."""
    if "2" in lines and "n" in lines:
        cause = "both n and 2 up to here, expected 0, n and 1, or the numbers 0, 1 and 2"
        raise SpellingError(max(lines["2"], lines["n"]), cause)
    return "2" in lines


def _require_sides(labels: LabelSet, lines: Mapping[str, int]) -> None:
    """Raise SpellingError if 0 or 1, the only numbers of a file, is another label as a number."""
    for number, written in enumerate(("0", "1")):
        if written in lines and labels.ids[number] != _SIDES[written]:
            cause = f"{written!r} is {_SIDES[written]}, or {labels.ids[number]} by its number"
            raise SpellingError(lines[written], f"{cause}, and the file has no higher one; write names")


def is_number(written: str) -> bool:
    """Return whether a file writes a number, which may stand for any label."""
    try:
        float(written)
    except ValueError:
        return False
    return True
