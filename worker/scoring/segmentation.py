"""Sentence and clause boundaries of a text, in code points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from tasks.vocabulary.options import MAX_CLAUSES, MAX_SENTENCES

Span = tuple[int, int]

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MARK = r"(?:[。！？；…⋯!?;]|\.{3,})"
_CLOSER = "[”’」』﹂﹄）)】〕》〉］\\]｝}]"  # noqa: RUF001  closing quotes and brackets of Chinese texts
# Punctuation inside a URL or an HTML entity ends nothing.
_ADDRESS = (
    rf"(?:https?://|www\.)[^\s{_HAN}，。！？；…、：“”（）]*[^\s{_HAN}，。！？；…、：“”（）!?;.,:)\]'\"]"
)
_ENTITY = r"&(?:[a-zA-Z]{2,8}|#\d{1,7}|#x[0-9a-fA-F]{1,6});"
_LINE_END = "[\r\n\u2028\u2029]+"
_SENTENCE_END = rf"{_MARK}(?:{_MARK}|{_CLOSER})*|{_LINE_END}"
# A comma or colon between digits ends nothing: 1,000 and 12:30.
_CLAUSE_MARK = rf"(?:[，、：]|(?<![0-9])[,:]|[,:](?![0-9])){_CLOSER}*"
_GAP = rf"(?<=[{_HAN}])\s+(?=[{_HAN}])"
_PROTECTED = f"{_ADDRESS}|{_ENTITY}"
_SENTENCE_ENDS = re.compile(f"{_PROTECTED}|(?P<end>{_SENTENCE_END})")
_CLAUSE_ENDS = re.compile(f"{_PROTECTED}|(?P<end>{_SENTENCE_END}|{_CLAUSE_MARK}|{_GAP})")


def sentences(text: str) -> list[Span]:
    """Return the sentences of a text, stripped of space. The last of MAX_SENTENCES spans all that remain."""
    spans = list(_split(text, _SENTENCE_ENDS))
    if len(spans) <= MAX_SENTENCES:
        return spans
    return [*spans[: MAX_SENTENCES - 1], (spans[MAX_SENTENCES - 1][0], spans[-1][1])]


def clauses(text: str) -> list[Span]:
    """Return the clauses of a text, stripped of space. Neighbours are merged down to MAX_CLAUSES."""
    spans = list(_split(text, _CLAUSE_ENDS))
    if len(spans) <= MAX_CLAUSES:
        return spans
    bounds = [number * len(spans) // MAX_CLAUSES for number in range(MAX_CLAUSES + 1)]
    return [(spans[first][0], spans[end - 1][1]) for first, end in pairwise(bounds)]


def _split(text: str, ends: re.Pattern[str]) -> Iterator[Span]:
    for start, end in pairwise([0, *_boundaries(text, ends), len(text)]):
        part = text[start:end]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _boundaries(text: str, ends: re.Pattern[str]) -> Iterator[int]:
    """Yield the offset after each end mark, and after a straight quote that follows and closes.

    A straight quote closes when the number of quotes before it is odd.
    """
    quotes = counted = 0
    for match in ends.finditer(text):
        if match["end"]:
            end = match.end()
            quotes += text.count('"', counted, end)
            counted = end
            yield end + 1 if quotes % 2 and text[end : end + 1] == '"' else end
