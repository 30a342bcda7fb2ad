"""Heartbeats of workers: who is alive, with how many children, and which model they serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS, WORKER_PROCESSES, WORKERS, leases_key

ALIVE_MS = 10_000  # how long a worker counts as alive after a heartbeat
_FIELDS = ("children", "ready", "model", "alive_until_ms")
_FORGET_MS = 60_000  # how long its last heartbeat is kept after that


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """A child at the last heartbeat of its worker. `ready`: it holds a model that has scored.

    `items_per_s` is what it finished in the last minute. Memory is resident, in bytes, with what it shares
    with others; None where the system does not say.
    """

    pid: int
    ready: bool
    age_s: float
    items_per_s: float
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """The processes of a worker: its parent's age and memory, its children, and those that were replaced.

    `replaced` counts by why they ended: `killed`, `sick`, `not_loaded`.
    """

    age_s: float
    memory_bytes: int | None
    replaced: Mapping[str, int]
    children: Sequence[ChildStatus]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker at its last heartbeat. `name` is `host id/pid of the parent/start`, unique to this start.

    `ready` of its `children` hold a model that has scored; `model` describes the pack that they serve.
    """

    name: str
    children: int
    ready: int
    model: dict[str, Any]
    alive_until_ms: int
    processes: ProcessStatus | None = None

    @property
    def serves(self) -> str:
        """Return the name of the model that it serves; empty if its heartbeat does not say."""
        return str(self.model.get("name", ""))

    @property
    def memory_bytes(self) -> int:
        """Return the resident memory of its parent and its children, as far as it is known."""
        if self.processes is None:
            return 0
        children = sum(child.memory_bytes or 0 for child in self.processes.children)
        return (self.processes.memory_bytes or 0) + children

    @property
    def host(self) -> str:
        """Return the host and process namespace that it runs in."""
        return self.name.split("/")[0]

    @property
    def pid(self) -> int:
        """Return the process id of its parent."""
        return int(self.name.split("/")[1])


def heartbeat(  # noqa: PLR0913  a heartbeat has these fields
    store: JobStore,
    name: str,
    *,
    children: int,
    ready: int,
    model: Mapping[str, Any],
    restarts: int = 0,
    processes: ProcessStatus | None = None,
) -> None:
    """Write that a worker is alive; `restarts` are the children restarted since the last heartbeat."""
    status = {
        "alive_until_ms": store.now_ms() + ALIVE_MS,
        "children": children,
        "ready": ready,
        "model": model,
    }
    with store_errors():
        pipe = store.redis.pipeline()
        pipe.hset(WORKERS, name, to_json(status))
        if processes:
            # Apart: programs of earlier versions drop heartbeats that have fields they do not know.
            pipe.hset(WORKER_PROCESSES, name, to_json(processes))
        if restarts:
            pipe.hincrby(COUNTERS, "restarted", restarts)
        pipe.execute()


def known_workers(store: JobStore) -> list[WorkerStatus]:
    """Return every worker whose last heartbeat is kept and can be read, alive or not."""
    return [worker for worker in _heartbeats(store).values() if worker]


def live_workers(store: JobStore) -> list[WorkerStatus]:
    """Return the workers that are alive."""
    now = store.now_ms()
    return [worker for worker in known_workers(store) if worker.alive_until_ms > now]


def live_models(store: JobStore) -> list[dict[str, Any]]:
    """Return the models that live workers serve, each once."""
    models = [worker.model for worker in live_workers(store)]
    return list({to_json(model): model for model in models}.values())


def with_processes(store: JobStore, some: Sequence[WorkerStatus]) -> list[WorkerStatus]:
    """Return these workers with their processes, as far as they are known."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(WORKER_PROCESSES)
    known = {name.decode(): _processes(written) for name, written in raw.items()}
    return [replace(worker, processes=known.get(worker.name)) for worker in some]


def leasing(store: JobStore, names: Sequence[str]) -> dict[str, set[int]]:
    """Return the pids of the children of each worker that hold a lease now."""
    with store_errors():
        pipe = store.redis.pipeline(transaction=False)
        for name in names:
            pipe.hvals(leases_key(name))
        read: list[list[bytes]] = pipe.execute()
    return {name: {int(holder.split()[0]) for holder in held} for name, held in zip(names, read, strict=True)}


def forget(store: JobStore, *names: str) -> None:
    """Drop the heartbeats of workers that are gone."""
    if names:
        with store_errors():
            pipe = store.redis.pipeline(transaction=False)
            pipe.hdel(WORKERS, *names)
            pipe.hdel(WORKER_PROCESSES, *names)
            pipe.execute()


def forget_silent(store: JobStore, now_ms: int) -> None:
    """Drop heartbeats that are long past, or that cannot be read."""
    oldest_ms = now_ms - _FORGET_MS
    beats = _heartbeats(store).items()
    forget(store, *(name for name, worker in beats if worker is None or worker.alive_until_ms < oldest_ms))


def _heartbeats(store: JobStore) -> dict[str, WorkerStatus | None]:
    """Return the heartbeats by worker; None for one that a program of another version wrote."""
    with store_errors():
        raw: dict[bytes, bytes] = store.redis.hgetall(WORKERS)
    return {name.decode(): _decode(name.decode(), status) for name, status in raw.items()}


def _decode(name: str, status: bytes) -> WorkerStatus | None:
    try:
        read = from_json(status)
        fields = {field: read[field] for field in _FIELDS if field in read}
        return WorkerStatus(name, **fields)
    except (TypeError, ValueError):
        return None


def _processes(written: bytes) -> ProcessStatus | None:
    try:
        read = from_json(written)
        children = [ChildStatus(**each) for each in read.pop("children")]
        return ProcessStatus(**read, children=children)
    except (KeyError, TypeError, ValueError):
        return None
