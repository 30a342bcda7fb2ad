"""From rows of token ids to logits: sorted by length, cut to the token budget, padded to few shapes."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import Engine, Tokens

# Every tensor has one of these row counts and lengths: engines keep memory for each shape, so shapes are few.
LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NEARLY_FULL = 0.75

Row = Sequence[int]


class Batches:
    """Runs one engine. A row's logits are the same, bit for bit, alone and beside any others."""

    def __init__(
        self,
        engine: Engine,
        *,
        labels: int,
        max_tokens: int,
        batch_tokens: int,
        separator: int | None = None,
    ) -> None:
        """Bound a forward to `batch_tokens` (rows x length); a longer row gets a forward of its own.

        The engine gives a logit for each of the `labels`. `separator` is the id of [SEP] if the engine reads
        pairs, else None.
        """
        self._engine = engine
        self._labels = labels
        self._batch_tokens = batch_tokens
        self._separator = separator
        self._lengths = (*(length for length in LENGTHS if length < max_tokens), max_tokens)

    def logits(
        self, rows: Sequence[Row], on_batch: Callable[[], None] | None = None, until: float = math.inf
    ) -> NDArray[np.float64]:
        """Return the logits of each row (n, labels).

        No forward begins after `until`, a time of `time.monotonic`: NaN for the rows that were not reached.
        `on_batch` is called before each forward. Raises InferenceError or EngineFailedError.
        """
        logits = np.full((len(rows), self._labels), np.nan)
        for numbers in self._cut(rows):
            if time.monotonic() >= until:
                break
            if on_batch is not None:
                on_batch()
            logits[numbers] = self._run([rows[number] for number in numbers])
        return logits

    def warm_up(self) -> None:
        """Run one row of every length, so that the first job does not wait for kernels to be compiled."""
        for length in self._lengths:
            self._run([[0] * length])

    def _cut(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """Yield the row numbers of each batch: rows of equal padded length, within the token budget."""

        def padded(number: int) -> int:
            return self._padded_length(rows[number])

        for length, group in groupby(sorted(range(len(rows)), key=padded), key=padded):
            numbers = list(group)
            while numbers:
                size = self._rows_to_take(len(numbers), length)
                yield numbers[:size]
                numbers = numbers[size:]

    def _rows_to_take(self, left: int, length: int) -> int:
        """Return the rows of the next batch, of `left` that remain.

        A remainder that nearly fills its row step is taken whole, else a smaller step is filled.
        """
        max_rows = self._max_rows(length)
        if left >= max_rows:
            return max_rows
        above = bisect_left(ROWS, left)
        return left if left >= ROWS[above] * NEARLY_FULL else ROWS[above - 1]

    def _padded_length(self, row: Row) -> int:
        return self._lengths[bisect_left(self._lengths, len(row))]

    def _max_rows(self, length: int) -> int:
        return max(step for step in ROWS if step == 1 or step * length <= self._batch_tokens)

    def _run(self, batch: Sequence[Row]) -> NDArray[np.float64]:
        """Return the logits (n, labels) of one forward over rows of equal padded length."""
        rows, length = ROWS[bisect_left(ROWS, len(batch))], self._padded_length(batch[0])
        ids, mask = np.zeros((2, rows, length), np.int64)
        for number, row in enumerate(batch):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = 1
        segments = None if self._separator is None else segment_ids(ids, mask, self._separator)
        return self._engine.logits(ids, mask, segments)[: len(batch)].astype(np.float64)


def segment_ids(ids: Tokens, mask: Tokens, separator: int) -> Tokens:
    """Return BERT's segment ids of pairs (n, length): 0 up to a row's first [SEP], 1 from there to its end.

    A row of token ids has one segmentation only, because [SEP] in a caller's text is plain text: what is
    cached or compared by the ids of a row is so by its segments too.
    """
    ends = ids == separator
    segments: Tokens = np.minimum(ends.cumsum(1) - ends, 1) * mask
    return segments
