"""What is measured every few seconds: each process of a stack, and its Redis."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis

from local.stack import Stack
from tasks.store.keys import PREFIX, idempotency_key, tombstone_key
from tests.faults.kinds.kind import is_fork

MIB = 2**20
OWN = "this program"  # with the client `sentiq`
REDIS = "redis, its data"
# They live for a day and for weeks, one or two a job: they grow by design, and are measured apart.
LONG_LIVED = (idempotency_key(""), tombstone_key(""))
Key = tuple[str, str]  # who, and what of it


@dataclass
class Series:
    """A measure over time, in seconds since the beginning."""

    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, at_s: float, value: float) -> None:
        """Add a sample."""
        self.times.append(at_s)
        self.values.append(value)

    def since(self, start_s: float) -> Series:
        """Return what was sampled from a time on."""
        first = next((i for i, at in enumerate(self.times) if at >= start_s), len(self.times))
        return Series(self.times[first:], self.values[first:])


class Sampler:
    """Samples a stack. A process that was replaced begins a new series; `restarts` counts those by name."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._redis: Any = redis.Redis.from_url(stack.redis_url)
        self._names: dict[int, str] = {}
        self.series: dict[Key, Series] = defaultdict(Series)
        self.restarts: Counter[str] = Counter()

    def sample(self, at_s: float) -> None:
        """Measure everything once."""
        for name, process in self._processes():
            with suppress(psutil.NoSuchProcess), process.oneshot():
                self._add(name, "RSS MiB", at_s, process.memory_info().rss / MIB)
                self._add(name, "descriptors", at_s, process.num_fds())
                self._add(name, "threads", at_s, process.num_threads())
        self._sample_redis(at_s)

    def _sample_redis(self, at_s: float) -> None:
        long_lived = [key for key in self._redis.scan_iter(f"{PREFIX}*", count=2000) if _is_long_lived(key)]
        kept_bytes = self._bytes_of(long_lived)
        info = self._redis.info("memory")
        self._add(REDIS, "long-lived keys", at_s, len(long_lived))
        self._add(REDIS, "long-lived MiB", at_s, kept_bytes / MIB)
        self._add(REDIS, "other keys", at_s, self._redis.dbsize() - len(long_lived))
        self._add(REDIS, "other MiB", at_s, (info["used_memory"] - kept_bytes) / MIB)
        self._add(REDIS, "clients", at_s, self._redis.info("clients")["connected_clients"])

    def _bytes_of(self, long_lived: list[bytes]) -> int:
        """Return about how much long-lived keys take: as much as the first of their kind, each."""
        total = 0
        for kind in LONG_LIVED:
            of_kind = [key for key in long_lived if key.startswith(kind.encode())]
            if of_kind:
                total += len(of_kind) * (self._redis.memory_usage(of_kind[0]) or 0)
        return total

    def _add(self, who: str, what: str, at_s: float, value: float) -> None:
        self.series[who, what].add(at_s, value)

    def _processes(self) -> Iterator[tuple[str, psutil.Process]]:
        yield OWN, psutil.Process()
        for process in self._stack.processes:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                yield process.name, parent
                children = [child for child in parent.children(recursive=True) if is_fork(child)]
                yield from self._named(process.name, children)

    def _named(self, parent: str, children: list[psutil.Process]) -> Iterator[tuple[str, psutil.Process]]:
        """Yield children by name. A new one gets the name of one that is gone, and its series begins anew."""
        pids = {child.pid for child in children}
        mine = {pid: name for pid, name in self._names.items() if name.startswith(f"{parent}, child ")}
        free = sorted(name for pid, name in mine.items() if pid not in pids)
        for pid in set(mine) - pids:
            self._names.pop(pid)
        for child in sorted(children, key=lambda each: each.pid):
            if child.pid not in self._names:
                self._names[child.pid] = self._name(parent, free, len(mine))
                mine[child.pid] = self._names[child.pid]
            yield self._names[child.pid], child

    def _name(self, parent: str, free: list[str], known: int) -> str:
        if not free:
            return f"{parent}, child {known + 1}"
        self.restarts[free[0]] += 1
        for key in [key for key in self.series if key[0] == free[0]]:
            self.series.pop(key)
        return free.pop(0)


def _is_long_lived(key: bytes) -> bool:
    return key.decode("utf-8", "replace").startswith(LONG_LIVED)
