"""The interface of engines."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SentiqError


class EngineError(SentiqError):
    """An engine cannot run here; the message says what is missing and how to get it."""

    code = "engine_unavailable"


class Engine(Protocol):
    """A pack's graph, ready to run in the process that built it."""

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores (n, 2), negative then positive, of ids (n, length), in order; `mask` is 0 on padding."""
        ...
