"""Drops what has ended from the queues of models without workers, where no child would come across it."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.store.jobs import JobStore
from tasks.store.leases import Holder, lease
from tasks.store.lost_wakeups import LostWakeups
from tasks.store.workers import live_workers

# One round may keep Redis busy for milliseconds.
_INTERVAL_MS = 10_000


class UnservedModels:
    """Models whose jobs wait for a worker to start."""

    def __init__(self, store: JobStore, worker: str, wakeups: LostWakeups) -> None:
        self._store = store
        self._worker = worker
        self._wakeups = wakeups
        self._tidied_ms = 0

    def tidy(self, models: Iterable[str], now_ms: int) -> None:
        """Drop the refs of ended jobs, and the wake-ups beyond pending chunks, of models without workers."""
        if now_ms - self._tidied_ms < _INTERVAL_MS:
            return
        self._tidied_ms = now_ms
        served = {worker.serves for worker in live_workers(self._store)}
        for model in sorted(set(models) - served):
            # A child that reads no format leases nothing, and drops what has ended on its way.
            lease(self._store, Holder(self._worker, 0, 1, model), 0, formats=())
            self._wakeups.trim(model)
