"""A Celery app of a caller, as a worker of its own runs it."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from sentiq.celery import register

app = Celery("caller", broker=os.environ["CALLER_REDIS"], backend=os.environ["CALLER_REDIS"])
app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
score = register(app)
# Nothing listens there.
away = register(app, name="sentiq.away", url="http://127.0.0.1:9", max_failures=1)


@app.task(name="caller.count")  # type: ignore[untyped-decorator]
def count(outcome: dict[str, Any]) -> dict[str, int]:
    """Count the labels of a scored job."""
    labels = [item.get("label") for item in outcome["results"]]
    return {label: labels.count(label) for label in set(labels)}


@app.task(name="caller.ping")  # type: ignore[untyped-decorator]
def ping() -> str:
    """Answer."""
    return "pong"
