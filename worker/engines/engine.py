"""The interface of an engine and its errors."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.errors import SentiqError

Tokens = NDArray[np.int64]  # a number for each token of a batch, rows x length


class EngineError(SentiqError):
    """The engine cannot run on this machine or with this pack. The message names the cause and the remedy."""

    code = "engine_unavailable"


class InferenceError(Exception):
    """The input of a forward is malformed.

    Not a SentiqError: it concerns the texts of one batch, which the worker then scores one by one.
    """


class Engine(Protocol):
    """A pack's model, ready to run in the process that built it."""

    def logits(self, ids: Tokens, mask: Tokens, segments: Tokens | None = None, /) -> NDArray[np.float32]:
        """Return the logits (n, labels), in label order, of ids (n, length).

        `mask` (n, length) is 0 on padding. `segments` (n, length) is 0 on the first part of a pair and 1 on
        the second; only packs whose input is pairs take it, and they require it.
        """
        ...
