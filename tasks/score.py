"""The one Celery task: a wake-up of a model, whose oldest chunks a child then leases."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

NAME = "sentiq.score"


def register(app: Celery, work: Callable[[], None]) -> None:
    """Have the children of a worker call `work` for each wake-up that they receive."""

    @app.task(name=NAME)  # type: ignore[untyped-decorator]  # Celery has no types
    def score() -> None:
        work()
