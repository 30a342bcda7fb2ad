"""Workers as operators see them."""

from __future__ import annotations

from collections.abc import Collection

from api.schemas import workers as bodies
from tasks.store.jobs import JobStore
from tasks.store.workers import (
    ChildStatus,
    ProcessStatus,
    WorkerStatus,
    known_workers,
    leasing,
    with_processes,
)

_UNKNOWN = ProcessStatus(0.0, None, {}, ())


def workers_view(store: JobStore) -> bodies.AllWorkers:
    """Return the body of all workers that are known."""
    known = sorted(with_processes(store, known_workers(store)), key=lambda worker: worker.name)
    held, now_ms = leasing(store, [worker.name for worker in known]), store.now_ms()
    return {"object": "list", "data": [_view(worker, held[worker.name], now_ms) for worker in known]}


def _view(worker: WorkerStatus, held: Collection[int], now_ms: int) -> bodies.Worker:
    processes = worker.processes or _UNKNOWN
    rate = sum(child.items_per_s for child in processes.children)
    return {
        "id": worker.name,
        "object": "worker",
        "host": worker.host,
        "pid": worker.pid,
        "state": "alive" if worker.alive_until_ms > now_ms else "silent",
        "model": worker.serves,
        "pack": str(worker.model.get("id", "")),
        "revision": str(worker.model.get("revision", "")),
        "engine": str(worker.model.get("engine", "")),
        "age_s": processes.age_s,
        "items_per_s": round(rate, 3),
        "memory_bytes": processes.memory_bytes,
        "replaced": {
            "killed": processes.replaced.get("killed", 0),
            "sick": processes.replaced.get("sick", 0),
            "not_loaded": processes.replaced.get("not_loaded", 0),
        },
        "children": [_child_view(child, held) for child in processes.children],
    }


def _child_view(child: ChildStatus, held: Collection[int]) -> bodies.Child:
    return {
        "pid": child.pid,
        "state": "ready" if child.ready else "starting",
        "leased": child.pid in held,
        "age_s": child.age_s,
        "items_per_s": child.items_per_s,
        "memory_bytes": child.memory_bytes,
    }
