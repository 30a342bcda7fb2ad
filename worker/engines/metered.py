"""An engine wrapper that measures each forward for the worker's metrics."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from tasks.store.counters import LocalCounters
from tasks.tracing import trace
from worker.engines.engine import Engine, Tokens


class MeteredEngine:
    """Delegates to another engine and counts rows, tokens and seconds; costs microseconds a forward."""

    def __init__(self, engine: Engine, counters: LocalCounters) -> None:
        self._engine = engine
        self._counters = counters

    def logits(self, ids: Tokens, mask: Tokens, segments: Tokens | None = None) -> NDArray[np.float32]:
        """Return the engine's logits (n, labels). Rows that only pad the batch are not counted."""
        rows, tokens = int(mask[:, 0].sum()), int(mask.sum())
        with trace.span("forward") as span:
            span.set(rows=rows, tokens=tokens)
            started = time.perf_counter()
            logits = self._engine.logits(ids, mask, segments)
            self._counters.observe("forward_s", time.perf_counter() - started)
        self._counters.observe("batch_rows", rows)
        self._counters.observe("batch_tokens", tokens)
        return logits
