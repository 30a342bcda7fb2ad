"""What rows came to lately: texts repeat, and so do the sentences and clauses in them."""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from worker.scoring.batches import Row

_DIGEST_BYTES = 16  # as good as the row itself as a name: two alike are not to be expected in any lifetime

Score = Callable[[Sequence[Row]], NDArray[np.float64]]


class LogitCache:
    """The logits of up to `size` rows; the one that was asked for longest ago leaves first.

    A row's logit is the same in any batch, so a remembered one equals, bit for bit, the one that is computed.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._logits: OrderedDict[bytes, float] = OrderedDict()

    def logits(self, rows: Sequence[Row], score: Score) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Logit of each of `rows` (n,), and whether it was known; `score` is asked for the others."""
        if not self._size:
            return score(rows), np.zeros(len(rows), bool)
        names = [blake2b(array("I", row), digest_size=_DIGEST_BYTES).digest() for row in rows]
        known = np.array([name in self._logits for name in names], bool)
        missing = [number for number, name in enumerate(names) if name not in self._logits]
        scored = score([rows[number] for number in missing])
        for number, logit in zip(missing, scored, strict=True):
            self._logits[names[number]] = float(logit)
        for name in names:
            self._logits.move_to_end(name)
        logits = np.array([self._logits[name] for name in names])
        while len(self._logits) > self._size:
            self._logits.popitem(last=False)
        return logits, known
