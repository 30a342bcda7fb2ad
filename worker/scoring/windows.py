"""Which rows of tokens a text is read as: whole, cut, in windows, or with a part left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.vocabulary.options import OnLongText
from worker.scoring.batches import Row
from worker.scoring.segmentation import Span

SPECIAL = 2  # [CLS] and [SEP] around every row
STRIDE = 0.75  # a window begins so much of a window behind the one before it, at most


class Rows:
    """The distinct rows that one pass has to score. Tokens go in without the special ones around them."""

    def __init__(self, cls: int, sep: int) -> None:
        self._cls = cls
        self._sep = sep
        self._numbers: dict[Row, int] = {}

    def add(self, tokens: Sequence[int]) -> int:
        """Number of the row that reads these tokens, which may be there already."""
        return self._numbers.setdefault((self._cls, *tokens, self._sep), len(self._numbers))

    def all(self) -> list[Row]:
        """Every row, by its number."""
        return list(self._numbers)


@dataclass(frozen=True, slots=True)
class Reading:
    """Windows of a text as [begin, end) of its tokens, and the row that each is."""

    windows: Sequence[Span]
    rows: Sequence[int]
    lengths: Sequence[int]

    def logit(self, logits: NDArray[np.float64]) -> float:
        """The mean of the windows' logits (n rows), weighted by their lengths."""
        if len(self.rows) == 1:
            return float(logits[self.rows[0]])
        return float(np.average(logits[list(self.rows)], weights=self.lengths))

    @property
    def end(self) -> int:
        """How many tokens from the first on were read."""
        return self.windows[-1][1]


def read(tokens: Sequence[int], rows: Rows, most: int, on_long_text: OnLongText) -> Reading:
    """Read tokens in rows of at most `most`; of a long text the beginning, unless windows are wanted."""
    if len(tokens) <= most or on_long_text is not OnLongText.WINDOW:
        windows = [(0, min(len(tokens), most))]
    else:
        windows = _windows(len(tokens), most)
    numbers = [rows.add(tokens[begin:end]) for begin, end in windows]
    return Reading(windows, numbers, [end - begin for begin, end in windows])


def without(tokens: Sequence[int], part: Span, whole: Reading, rows: Rows) -> Reading:
    """Read the same windows with the tokens of `part` left out of them."""
    numbers, lengths = list(whole.rows), list(whole.lengths)
    for at, (begin, end) in enumerate(whole.windows):
        first, after = max(begin, part[0]), min(end, part[1])
        if first < after:
            numbers[at] = rows.add([*tokens[begin:first], *tokens[after:end]])
            lengths[at] -= after - first
    return Reading(whole.windows, numbers, lengths)


def _windows(tokens: int, most: int) -> list[Span]:
    """Evenly spread windows of `most` tokens each, the first at the beginning and the last at the end."""
    beyond, stride = tokens - most, max(1, int(most * STRIDE))
    steps = -(-beyond // stride)
    begins = [step * beyond // steps for step in range(steps + 1)]
    return [(begin, begin + most) for begin in begins]
