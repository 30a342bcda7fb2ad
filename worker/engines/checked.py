"""Checks of every forward: no verdict is made from malformed inputs, or from logits of another forward.

The logits of the pack's n-grams, if it has such a head, are added to those that the forward wrote.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from worker.engines.engine import EngineError, InferenceError, Tokens
from worker.engines.failure import EngineFailedError
from worker.packs.ngrams import read_ngrams
from worker.packs.pack import Pack

_PROBE_LENGTH = 2


class LoadedEngine(Protocol):
    """An engine as its library runs it. `batch_tokens` is the token budget of a forward on its device."""

    batch_tokens: int

    def forward(
        self, ids: Tokens, mask: Tokens, segments: Tokens | None, logits: NDArray[np.float32], /
    ) -> None:
        """Write the logits of the inputs, see `Engine`, into `logits` (n, labels)."""
        ...


class CheckedEngine:
    """An engine that has run the pack once, so it works and its weights have their final place in memory."""

    def __init__(self, engine: LoadedEngine, pack: Pack) -> None:
        """Run one short row. Raises EngineError when the pack's graph or weights yield no usable logits."""
        self.batch_tokens = engine.batch_tokens
        self._engine = engine
        self._max_tokens = pack.max_tokens
        self._vocabulary = pack.architecture["vocabulary"]
        self._labels = len(pack.labels)
        self._pairs = pack.input == "pair"
        self._head = read_ngrams(pack)
        probe = np.zeros((1, _PROBE_LENGTH), np.int64)
        try:
            self.logits(probe, np.ones_like(probe), probe if self._pairs else None)
        except (EngineFailedError, InferenceError) as error:
            raise EngineError(f"pack {pack.id} cannot be run: {error}; make it again") from error

    def logits(self, ids: Tokens, mask: Tokens, segments: Tokens | None = None) -> NDArray[np.float32]:
        """Return the checked logits; see `Engine`. Raises InferenceError or EngineFailedError.

        Each forward gets memory of its own, full of NaN: an engine that cannot allocate may raise nothing and
        write nothing, and what an earlier forward wrote would pass for its logits.
        """
        self._check_inputs(ids, mask)
        self._check_segments(ids, segments)
        logits = np.full((len(ids), self._labels), np.nan, np.float32)
        try:
            self._engine.forward(ids, mask, segments, logits)
        except Exception as error:
            raise EngineFailedError(f"a forward failed: {_first_line(error)}") from error
        # Rows without a token only pad the batch; their logits are never used.
        if not np.isfinite(logits[mask.any(axis=1)]).all():
            raise EngineFailedError("a forward left logits unwritten, or wrote some that are not finite")
        if self._head is not None:
            logits += self._head.logits(ids, mask)
        return logits

    def _check_inputs(self, ids: Tokens, mask: Tokens) -> None:
        if ids.ndim != 2 or not ids.size:  # noqa: PLR2004  rows and tokens
            raise InferenceError(f"ids have the shape {ids.shape}, expected rows x tokens, both above 0")
        if mask.shape != ids.shape:
            raise InferenceError(f"the mask has the shape {mask.shape}, the ids {ids.shape}")
        if ids.shape[1] > self._max_tokens:
            raise InferenceError(f"rows have {ids.shape[1]} tokens, the pack allows {self._max_tokens}")
        if ids.min() < 0 or ids.max() >= self._vocabulary:
            raise InferenceError(f"an id lies outside the vocabulary of {self._vocabulary:.0f} tokens")

    def _check_segments(self, ids: Tokens, segments: Tokens | None) -> None:
        if (segments is not None) != self._pairs:
            raise InferenceError("segments are for packs that read pairs, which require them")
        if segments is None:
            return
        if segments.shape != ids.shape:
            raise InferenceError(f"the segments have the shape {segments.shape}, the ids {ids.shape}")
        if segments.min() < 0 or segments.max() > 1:
            raise InferenceError("a segment is neither 0 nor 1")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
