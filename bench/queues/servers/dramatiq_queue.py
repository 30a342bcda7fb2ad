"""Dramatiq: results in Redis, awaited by a blocking pop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.queues.servers.common import REDIS_URL, TIMEOUT_S, verdict

broker = RedisBroker(url=REDIS_URL)
broker.add_middleware(Results(backend=RedisBackend(url=REDIS_URL)))
dramatiq.set_broker(broker)
actor: Any = dramatiq.actor(store_results=True)(verdict)


def submit(text: str) -> Any:
    """Submit one message."""
    return actor.send(text)


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit a group of messages."""
    return [*dramatiq.group(actor.message(text) for text in texts).run().children]


def result(submitted: Any) -> float:
    """Wait for a result."""
    return float(submitted.get_result(block=True, timeout=TIMEOUT_S * 1000))
