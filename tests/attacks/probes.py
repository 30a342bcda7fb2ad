"""What another caller sees, and what the API and Redis use, while something goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import redis

_CALLERS = 32
_SAMPLE_S = 0.1
_SLOWLOG_ENTRIES = 10_000
NEVER_S = 60.0


@dataclass
class Latencies:
    """The seconds that calls took; a call that failed took `NEVER_S`."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def __str__(self) -> str:
        figures = (f"{1000 * self.percentile(share):.0f}" for share in (0.5, 0.9, 0.99, 1))
        return f"{len(self.seconds)} calls, ms {' / '.join(figures)}, {len(self.failures)} failed"


@contextmanager
def calling(call: Callable[[], None], per_s: float) -> Iterator[Latencies]:
    """Make a call at that rate whatever the earlier ones take; it fails by raising."""
    latencies, done = Latencies(), threading.Event()
    started: list[tuple[Future[None], float]] = []

    def measured(due: float) -> None:
        try:
            call()
            latencies.seconds.append(time.monotonic() - due)
        except Exception as error:  # noqa: BLE001  every failure counts
            latencies.failures.append(f"{type(error).__name__}: {error}")
            latencies.seconds.append(NEVER_S)

    def start_on_time() -> None:
        due = time.monotonic()
        while not done.wait(max(0.0, due - time.monotonic())):
            started.append((callers.submit(measured, due), due))
            due += 1 / per_s

    with ThreadPoolExecutor(_CALLERS) as callers:
        clock = threading.Thread(target=start_on_time)
        clock.start()
        try:
            yield latencies
        finally:
            done.set()
            clock.join()
            callers.shutdown(cancel_futures=True)
            # Those that no thread has begun have waited so long at least.
            ended = time.monotonic()
            latencies.seconds += [ended - due for call, due in started if call.cancelled()]


@contextmanager
def memory_of(pid: int) -> Iterator[dict[str, int]]:
    """Sample the resident memory of a process with its children: `calm` bytes before, and `most`."""
    calm = _resident(pid)
    sizes, done = {"calm": calm, "most": calm}, threading.Event()

    def sample() -> None:
        while not done.wait(_SAMPLE_S):
            sizes["most"] = max(sizes["most"], _resident(pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield sizes
    finally:
        done.set()
        sampler.join()


def _resident(pid: int) -> int:
    total, parent = 0, psutil.Process(pid)
    for process in (parent, *parent.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # replaced meanwhile
    return total


@contextmanager
def slow_scripts(redis_url: str) -> Iterator[list[tuple[float, str]]]:
    """List the milliseconds and the arguments of the scripts that ran for over 10 ms, the slowest first."""
    client: Any = redis.Redis.from_url(redis_url)
    client.config_set("slowlog-log-slower-than", 10_000)
    client.config_set("slowlog-max-len", _SLOWLOG_ENTRIES)
    client.slowlog_reset()
    scripts: list[tuple[float, str]] = []
    yield scripts
    scripts += sorted(
        (
            (entry["duration"] / 1000, entry["command"].decode(errors="replace")[:300])
            for entry in client.slowlog_get(_SLOWLOG_ENTRIES)
            if entry["command"].upper().startswith(b"EVAL")
        ),
        reverse=True,
    )
