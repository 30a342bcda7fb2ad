"""Wake-ups: Celery messages without any text. Each brings a child to lease the oldest chunks."""

from __future__ import annotations

import redis
from celery import Celery
from kombu.exceptions import KombuError

from tasks import score
from tasks.broker.celery_app import declared_queue

_ACQUIRE_S = 1


class NotPublishedError(Exception):
    """The wake-ups may not have arrived. The job is safe: the reconciler publishes what is missing."""


def publish_wakeups(app: Celery, model: str, count: int) -> None:
    """Publish `count` wake-ups of a model in one round trip. Raises NotPublishedError.

    If the connection proves dead, they are published once more over a new one. Both tries together take up
    to 5 s. Where the first had arrived after all, there are twice as many wake-ups, which is harmless.
    """
    try:
        try:
            _publish(app, model, count)
        except KombuError as error:
            if not isinstance(error.__cause__, redis.ConnectionError | redis.TimeoutError):
                raise
            _publish(app, model, count)
    except Exception as error:
        # Whatever it is, the job is recorded: an error here would make the client send it again.
        raise NotPublishedError(f"{type(error).__name__}: {error}") from error


def _publish(app: Celery, model: str, count: int) -> None:
    queue = declared_queue(model)
    with app.producer_pool.acquire(block=True, timeout=_ACQUIRE_S) as producer, producer.batch():
        for _ in range(count):
            app.send_task(score.NAME, queue=queue, producer=producer, retry=False, ignore_result=True)
