"""Celery: results in Redis, read by subscription."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery, group

from bench.queues.servers.common import REDIS_URL, TIMEOUT_S, verdict

app = Celery("queue", broker=REDIS_URL, backend=REDIS_URL)
app.conf.broker_connection_retry_on_startup = True
task: Any = app.task(name="score")(verdict)


def submit(text: str) -> Any:
    """Submit one task."""
    return task.delay(text)


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit a group of tasks."""
    return [*group(task.s(text) for text in texts).apply_async().results]


def result(submitted: Any) -> float:
    """Wait for a result."""
    return float(submitted.get(timeout=TIMEOUT_S))
