"""Children that are ready, as far as the store knows: wake-ups are published for as many of them."""

from __future__ import annotations

from tasks.store import workers
from tasks.store.jobs import JobStore
from tasks.store.keys import ready_key


def report_ready(store: JobStore, model: str, children: int = 9) -> None:
    """Report a live worker with ready children of a model, and count them as the reconciler does."""
    name = f"host of {model}:1/2/3"
    workers.heartbeat(store, name, children=children, ready=children, model={"name": model})
    store.redis.set(ready_key(model), children)
