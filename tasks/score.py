"""The one Celery task: a wake-up for a class, whose oldest chunks a child then leases."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

from tasks.vocabulary.jobs import QueueClass

NAME = "sentiq.score"


def register(app: Celery, work: Callable[[QueueClass], None]) -> None:
    """Have the children of a worker call `work` for each wake-up that they receive."""

    @app.task(name=NAME)  # type: ignore[untyped-decorator]  # Celery has no types
    def score(queue_class: str) -> None:
        work(QueueClass(queue_class))
