"""RQ: results in streams, awaited by a blocking read. Run as a module, this is its pool of workers.

RQ forks a process for each job unless it is told not to; these workers do not fork.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from rq import Queue
from rq.worker import SimpleWorker
from rq.worker_pool import WorkerPool

from bench.queues.servers.common import CORES, REDIS_URL, TIMEOUT_S, verdict

connection = Redis.from_url(REDIS_URL)
queue = Queue(connection=connection)


def submit(text: str) -> Any:
    """Submit one job."""
    return queue.enqueue(verdict, text)


def submit_many(texts: Sequence[str]) -> list[Any]:
    """Submit jobs in one pipeline."""
    return [*queue.enqueue_many([Queue.prepare_data(verdict, (text,)) for text in texts])]


def result(submitted: Any) -> float:
    """Wait for a result."""
    return float(submitted.latest_result(timeout=TIMEOUT_S).return_value)


if __name__ == "__main__":
    WorkerPool([queue], connection, num_workers=CORES, worker_class=SimpleWorker).start(
        logging_level="WARNING"
    )
