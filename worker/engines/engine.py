"""The interface of engines."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SentiqError


class EngineError(SentiqError):
    """An engine cannot run here, or not this pack; the message says what is missing and how to get it."""

    code = "engine_unavailable"


class InferenceError(Exception):
    """A forward that cannot be made, or that gave no usable logits.

    No SentiqError: it concerns the texts of one batch, which a worker then tries one by one.
    """


class Engine(Protocol):
    """A pack's graph, ready to run in the process that built it."""

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores (n, 2), negative then positive, of ids (n, length), in order; `mask` is 0 on padding."""
        ...
