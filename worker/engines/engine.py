"""The interface of an engine and its errors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SentiqError


class EngineError(SentiqError):
    """The engine cannot run on this machine or with this pack. The message names the cause and the remedy."""

    code = "engine_unavailable"


class InferenceError(Exception):
    """The input of a forward is malformed.

    Not a SentiqError: it concerns the texts of one batch, which the worker then scores one by one.
    """


class Engine(Protocol):
    """A pack's model, ready to run in the process that built it."""

    def logits(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits (n, labels) of ids (n, length); `mask` is 0 on padding."""
        ...
