"""What the modules of all queues share: the Redis, the task, and how often a queue that polls looks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

REDIS_URL = os.environ["PEER_REDIS"]
CORES = len(os.sched_getaffinity(0))
# Queues that poll for results would wait for up to half a second by default, and lose every comparison.
POLL_S = 0.01
TIMEOUT_S = 120

Result = TypeVar("Result")


def verdict(text: str) -> float:
    """Return the same probability for every text: the task of all queues."""
    return 0.5 if text else 0.0


class Loop:
    """An event loop in a thread: threads of Flask wait in it for queues that are asynchronous."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT_S)
