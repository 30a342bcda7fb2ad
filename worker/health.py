"""`python -m worker.health`: 0 when the worker of this container can score now, else 1 and the reason.

It reads the heartbeat of the parent: so the parent's loop turns, Redis answers it, and a child is ready whose
model has scored something.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.workers import WorkerStatus, live_workers
from worker.process.fork_state import host_id


def trouble(workers: Sequence[WorkerStatus]) -> str:
    """Return why none of these live workers can score; empty when one can."""
    if not workers:
        return "its parent does not report"
    return "" if any(worker.ready for worker in workers) else "no child is ready"


def check(store: JobStore) -> str:
    """Return why a worker of this container cannot score; empty when all can."""
    workers = [worker for worker in live_workers(store) if worker.host == host_id()]
    names = [pack.partition("=")[0].partition(":")[0] for pack in store.settings.packs]
    for name in names:
        if reason := trouble([worker for worker in workers if worker.serves == name]):
            return f"{name}: {reason}"
    return "" if names else trouble(workers)


def main() -> int:
    """Check once."""
    try:
        reason = check(JobStore.connect(Settings.read()))
    except (ConfigurationError, StoreUnavailableError) as error:
        reason = str(error)
    if reason:
        print(f"worker: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
