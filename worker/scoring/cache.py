"""A cache of logits by token row: texts repeat, and so do the sentences and clauses in them."""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from worker.scoring.batches import Row

_DIGEST_BYTES = 16  # no two rows that a worker ever meets are expected to collide

Score = Callable[[Sequence[Row]], NDArray[np.float64]]


class LogitCache:
    """The logits of up to `size` rows; evicts the least recently used.

    A row's logit is the same in any batch, so a cached logit equals a computed one bit for bit.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._logits: OrderedDict[bytes, float] = OrderedDict()

    def logits(self, rows: Sequence[Row], score: Score) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the logit of each row (n,) and whether it was cached (n,); `score` computes the others.

        It gives NaN for rows that it did not reach, which are not cached.
        """
        if not self._size:
            return score(rows), np.zeros(len(rows), bool)
        keys = [blake2b(array("I", row), digest_size=_DIGEST_BYTES).digest() for row in rows]
        known = np.array([key in self._logits for key in keys], bool)
        missing = [number for number, key in enumerate(keys) if key not in self._logits]
        scored = score([rows[number] for number in missing])
        logits = np.array([self._logits.get(key, math.nan) for key in keys])
        logits[missing] = scored
        for key, logit in zip(keys, logits.tolist(), strict=True):
            if not math.isnan(logit):
                self._logits[key] = logit
                self._logits.move_to_end(key)
        while len(self._logits) > self._size:
            self._logits.popitem(last=False)
        return logits, known
