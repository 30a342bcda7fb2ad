"""Taskiq: a list in Redis as broker, results as keys, which a waiting caller polls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from bench.queues.servers.common import POLL_S, REDIS_URL, TIMEOUT_S, Loop, verdict

broker = ListQueueBroker(REDIS_URL).with_result_backend(
    RedisAsyncResultBackend(REDIS_URL, result_ex_time=600)
)
loop = Loop()


@broker.task(task_name="score")
async def score(text: str) -> float:
    """Return the probability of a text."""
    return verdict(text)


def submit(text: str) -> Any:
    """Submit one task."""
    return loop.run(score.kiq(text))


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit tasks at the same time."""

    async def kick() -> list[Any]:
        return [*await asyncio.gather(*(score.kiq(text) for text in texts))]

    return loop.run(kick())


def result(submitted: Any) -> float:
    """Wait for a result."""
    found = loop.run(submitted.wait_result(check_interval=POLL_S, timeout=TIMEOUT_S))
    return float(found.return_value)
