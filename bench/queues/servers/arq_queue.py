"""arq: a sorted set in Redis as queue, results as keys, which a waiting caller polls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import arq
from arq.connections import RedisSettings

from bench.queues.servers.common import POLL_S, REDIS_URL, TIMEOUT_S, Loop, verdict


async def score(_context: dict[str, Any], text: str) -> float:
    """Return the probability of a text."""
    return verdict(text)


class WorkerSettings:
    """What `arq` runs."""

    functions: ClassVar = [score]
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    max_jobs = 64
    poll_delay = POLL_S


loop = Loop()


@cache
def _pool() -> Any:
    return loop.run(arq.create_pool(WorkerSettings.redis_settings))


def submit(text: str) -> Any:
    """Submit one job."""
    return loop.run(_pool().enqueue_job("score", text))


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit jobs at the same time."""
    pool = _pool()

    async def enqueue() -> list[Any]:
        return [*await asyncio.gather(*(pool.enqueue_job("score", text) for text in texts))]

    return loop.run(enqueue())


def result(submitted: Any) -> float:
    """Wait for a result."""
    return float(loop.run(submitted.result(timeout=TIMEOUT_S, poll_delay=POLL_S)))
