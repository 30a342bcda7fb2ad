"""Huey: results in a hash, which a waiting caller polls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huey import RedisHuey

from bench.queues.servers.common import POLL_S, REDIS_URL, TIMEOUT_S, verdict

huey = RedisHuey("queue", url=REDIS_URL)
task: Any = huey.task()(verdict)


def submit(text: str) -> Any:
    """Submit one task."""
    return task(text)


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit tasks one after the other: Huey has no other way."""
    return [task(text) for text in texts]


def result(submitted: Any) -> float:
    """Wait for a result."""
    return float(submitted.get(blocking=True, timeout=TIMEOUT_S, backoff=1, max_delay=POLL_S))
