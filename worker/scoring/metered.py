"""An engine whose forwards are counted: how many rows, how many tokens, how long."""

import time

import numpy as np
from numpy.typing import NDArray

from tasks.store.counters import Tally
from worker.engines.engine import Engine


class Metered:
    """Runs another engine; what is added up costs some microseconds a forward."""

    def __init__(self, engine: Engine, tally: Tally) -> None:
        self._engine = engine
        self._tally = tally

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores as the engine gives them; rows that only fill up a shape are not counted."""
        started = time.perf_counter()
        logits = self._engine.logits(ids, mask)
        self._tally.observe("forward_s", time.perf_counter() - started)
        self._tally.observe("batch_items", int(mask[:, 0].sum()))
        self._tally.observe("batch_tokens", int(mask.sum()))
        return logits
