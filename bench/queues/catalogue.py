"""The queues: each with a task that does nothing, behind the same Flask routes.

Another queue is a module in `servers/`, its packages in a file of `requirements/peers`, and an entry here.
"""

from __future__ import annotations

import os
from typing import Any

from bench.load.callers import post
from bench.peers.catalogue import GUNICORN, Peer
from bench.peers.dialects import Dialect, read_one

JOBS = 1000  # tasks of a request in bulk
_WORKERS = str(len(os.sched_getaffinity(0)))
_HERE = "bench.queues.servers"


def _read_many(body: Any) -> list[tuple[str, float]]:
    return [("any", score) for score in body["results"]]


_SINGLE = Dialect(lambda texts: post("/predict", {"text": texts[0]}), read_one)
_MANY = Dialect(lambda texts: post("/many", {"texts": [*texts]}), _read_many, texts=JOBS)


def _queue(name: str, package: str, *workers: tuple[str, ...], environment: str = "queues") -> Peer:
    """Return a queue; `workers` are the modules that run its workers, with their arguments."""
    route = (*GUNICORN, f"{_HERE}.route:app")
    return Peer(
        name,
        environment,
        (package, "redis", "flask", "gunicorn"),
        (*workers, route),
        _SINGLE,
        _MANY,
        redis=True,
        env={"PEER_QUEUE": f"{package.partition('-')[0]}_queue"},
    )


QUEUES: tuple[Peer, ...] = (
    _queue("Celery", "celery", ("celery", "-A", f"{_HERE}.celery_queue", "worker", "--loglevel=warning")),
    _queue("Dramatiq", "dramatiq", ("dramatiq", f"{_HERE}.dramatiq_queue", "--processes", _WORKERS)),
    _queue("RQ", "rq", (f"{_HERE}.rq_queue",)),
    _queue(
        "Huey",
        "huey",
        ("huey.bin.huey_consumer", f"{_HERE}.huey_queue.huey", "-w", _WORKERS, "-k", "process", "-q"),
    ),
    _queue("Taskiq", "taskiq", ("taskiq", "worker", f"{_HERE}.taskiq_queue:broker", "--workers", _WORKERS)),
    _queue(
        "arq", "arq", *((("arq", f"{_HERE}.arq_queue.WorkerSettings"),) * int(_WORKERS)), environment="arq"
    ),
)
