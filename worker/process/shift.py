"""What a child does for one wake-up: it leases until nothing waits, for a few seconds at most.

So a flood of small jobs needs a wake-up for each child every few seconds, and not one for each job.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks.settings import Settings
from worker.process.child import Child

# Flower shows a row for each wake-up, and a worker that stops waits for its children.
_MAX_S = 5.0


def longest_s(settings: Settings) -> float:
    """Return for how long a child goes on for one wake-up; a lease that it has begun by then comes on top."""
    return min(_MAX_S, settings.task_time_limit_s)


def work_until_idle(child: Child, seconds: float, stopping: Callable[[], bool]) -> None:
    """Have a child work until nothing waits; after some seconds, or if its worker stops, it hands over."""
    end, woken = time.monotonic() + seconds, True
    while child.work(woken=woken):
        woken = False
        if stopping() or time.monotonic() >= end:
            child.leave()
            return
