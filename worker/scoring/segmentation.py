"""Where sentences and clauses of a text begin and end, in code points."""

import re
from collections.abc import Iterator
from itertools import pairwise

from tasks.vocabulary.options import MAX_CLAUSES, MAX_SENTENCES

Span = tuple[int, int]

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARK = r"(?:[。！？；…⋯!?;]|\.{3,})"
_CLOSER = "[”’」』﹂﹄）)】〕》〉］\\]｝}]"  # noqa: RUF001  what Chinese texts close with
# Marks inside these end nothing.
_ADDRESS = (
    rf"(?:https?://|www\.)[^\s{_HAN}，。！？；…、：“”（）]*[^\s{_HAN}，。！？；…、：“”（）!?;.,:)\]'\"]"
)
_ENTITY = r"&(?:[a-zA-Z]{2,8}|#\d{1,7}|#x[0-9a-fA-F]{1,6});"
_LINE_END = "[\r\n\u2028\u2029]+"
_SENTENCE_END = rf"{_MARK}(?:{_MARK}|{_CLOSER})*|{_LINE_END}"
# Not the commas and colons of 1,000 and 12:30.
_CLAUSE_MARK = rf"(?:[，、：]|(?<![0-9])[,:]|[,:](?![0-9])){_CLOSER}*"
_GAP = rf"(?<=[{_HAN}])\s+(?=[{_HAN}])"
_KEPT = f"{_ADDRESS}|{_ENTITY}"
_SENTENCE_ENDS = re.compile(f"{_KEPT}|(?P<end>{_SENTENCE_END})")
_CLAUSE_ENDS = re.compile(f"{_KEPT}|(?P<end>{_SENTENCE_END}|{_CLAUSE_MARK}|{_GAP})")


def sentences(text: str) -> list[Span]:
    """The sentences of a text without the space around them; the last holds all beyond MAX_SENTENCES."""
    found = list(_cut(text, _SENTENCE_ENDS))
    if len(found) <= MAX_SENTENCES:
        return found
    return [*found[: MAX_SENTENCES - 1], (found[MAX_SENTENCES - 1][0], found[-1][1])]


def clauses(text: str) -> list[Span]:
    """The clauses of a text; neighbours share an entry where there are more than MAX_CLAUSES."""
    found = list(_cut(text, _CLAUSE_ENDS))
    if len(found) <= MAX_CLAUSES:
        return found
    bounds = [number * len(found) // MAX_CLAUSES for number in range(MAX_CLAUSES + 1)]
    return [(found[first][0], found[after - 1][1]) for first, after in pairwise(bounds)]


def _cut(text: str, ends: re.Pattern[str]) -> Iterator[Span]:
    for start, end in pairwise([0, *_borders(text, ends), len(text)]):
        part = text[start:end]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _borders(text: str, ends: re.Pattern[str]) -> Iterator[int]:
    """Ends, with the straight quote behind them if it closes: how many were before it tells."""
    quotes = counted = 0
    for match in ends.finditer(text):
        if match["end"]:
            end = match.end()
            quotes += text.count('"', counted, end)
            counted = end
            yield end + 1 if quotes % 2 and text[end : end + 1] == '"' else end
