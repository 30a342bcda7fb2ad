"""How a text becomes rows of tokens: whole, truncated, in windows, or with a part masked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.options import OnLongText
from worker.scoring.batches import Row
from worker.scoring.segmentation import Span

SPECIAL = 2  # [CLS] and [SEP] around every row
MAX_STRIDE = 0.75  # distance between the starts of neighbouring windows, as a share of a window


class Adds(Protocol):
    """What takes the rows of a text."""

    def add(self, tokens: Sequence[int]) -> int:
        """Return the number of the row with these tokens of the text."""
        ...


class Rows:
    """The distinct rows of one pass. Callers pass tokens without [CLS] and [SEP]; rows include both."""

    def __init__(self, cls: int, sep: int) -> None:
        self._cls = cls
        self._sep = sep
        self._numbers: dict[Row, int] = {}

    def add(self, tokens: Sequence[int]) -> int:
        """Return the number of the row with these tokens, which is added unless it is present."""
        return self._numbers.setdefault((self._cls, *tokens, self._sep), len(self._numbers))

    def behind(self, aspect: Sequence[int]) -> Adds:
        """Return what adds rows of an aspect and a text, given the tokens of the text."""
        return _Behind(self, [*aspect, self._sep])

    def all(self) -> list[Row]:
        """Return every row, in the order of the numbers."""
        return list(self._numbers)


@dataclass(frozen=True, slots=True)
class _Behind:
    """Adds rows that begin with the same tokens."""

    rows: Rows
    head: Sequence[int]

    def add(self, tokens: Sequence[int]) -> int:
        return self.rows.add([*self.head, *tokens])


@dataclass(frozen=True, slots=True)
class WindowedText:
    """A text as windows, [begin, end) of its tokens, with the number and length of each window's row."""

    windows: Sequence[Span]
    rows: Sequence[int]
    lengths: Sequence[int]

    def logits(self, logits: NDArray[np.float64]) -> list[float]:
        """Return the mean of the windows' logits (labels,), weighted by length.

        `logits` (n, labels) are of all rows.
        """
        if len(self.rows) == 1:
            mean = logits[self.rows[0]]
        else:
            mean = np.average(logits[list(self.rows)], axis=0, weights=self.lengths)
        return list(map(float, mean))

    @property
    def end(self) -> int:
        """Return the number of tokens that the windows cover, counted from the first token."""
        return self.windows[-1][1]


def windowed(tokens: Sequence[int], rows: Adds, max_tokens: int, on_long_text: OnLongText) -> WindowedText:
    """Return the text in windows of at most `max_tokens`; a long text is truncated unless WINDOW is asked."""
    if len(tokens) <= max_tokens or on_long_text is not OnLongText.WINDOW:
        windows = [(0, min(len(tokens), max_tokens))]
    else:
        windows = _windows(len(tokens), max_tokens)
    numbers = [rows.add(tokens[begin:end]) for begin, end in windows]
    return WindowedText(windows, numbers, [end - begin for begin, end in windows])


def masked_out(tokens: Sequence[int], part: Span, text: WindowedText, rows: Rows) -> WindowedText:
    """Return the same windows of the text without the tokens of `part`."""
    numbers, lengths = list(text.rows), list(text.lengths)
    for index, (begin, end) in enumerate(text.windows):
        part_begin, part_end = max(begin, part[0]), min(end, part[1])
        if part_begin < part_end:
            numbers[index] = rows.add([*tokens[begin:part_begin], *tokens[part_end:end]])
            lengths[index] -= part_end - part_begin
    return WindowedText(text.windows, numbers, lengths)


def _windows(tokens: int, size: int) -> list[Span]:
    """Return evenly spread windows of `size` tokens; the first begins the text and the last ends it."""
    beyond, stride = tokens - size, max(1, int(size * MAX_STRIDE))
    steps = -(-beyond // stride)
    begins = [step * beyond // steps for step in range(steps + 1)]
    return [(begin, begin + size) for begin in begins]
