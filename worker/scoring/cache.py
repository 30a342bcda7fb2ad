"""A cache of logits by token row: texts repeat, and so do the sentences and clauses in them."""

from __future__ import annotations

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

    A row's logits are the same in any batch, so cached ones equal computed ones bit for bit.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._logits: OrderedDict[bytes, bytes] = OrderedDict()

    def logits(self, rows: Sequence[Row], score: Score) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the logits of each row (n, labels) and whether they were cached (n,).

        `score` computes those of the other rows, NaN for rows that it did not reach; these are not cached.
        """
        if not self._size:
            return score(rows), np.zeros(len(rows), bool)
        keys = [blake2b(array("I", row), digest_size=_DIGEST_BYTES).digest() for row in rows]
        known = np.array([key in self._logits for key in keys], bool)
        scored = score([rows[number] for number in np.flatnonzero(~known).tolist()])
        logits = np.empty((len(rows), scored.shape[1]))
        logits[~known] = scored
        if known.any():
            cached = b"".join(self._logits[key] for key in keys if key in self._logits)
            logits[known] = np.frombuffer(cached).reshape(-1, scored.shape[1])
        self._keep(keys, logits)
        return logits, known

    def _keep(self, keys: Sequence[bytes], logits: NDArray[np.float64]) -> None:
        """Keep the logits of the rows that were reached, as the most recently used."""
        for number in np.flatnonzero(~np.isnan(logits[:, 0])).tolist():
            self._logits[keys[number]] = logits[number].tobytes()
            self._logits.move_to_end(keys[number])
        while len(self._logits) > self._size:
            self._logits.popitem(last=False)
