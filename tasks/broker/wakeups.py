"""Wake-ups: one Celery message a chunk, without any text. Each brings a child to lease the oldest chunks."""

from __future__ import annotations

from celery import Celery

from tasks import score
from tasks.vocabulary.jobs import QueueClass

_ACQUIRE_S = 1


class NotPublishedError(Exception):
    """The wake-ups may not have arrived. The job is safe: the reconciler publishes what is missing."""


def publish_wakeups(app: Celery, queue_class: QueueClass, count: int) -> None:
    """Publish wake-ups for `count` chunks of a class in one round trip. Raises NotPublishedError."""
    try:
        with app.producer_pool.acquire(block=True, timeout=_ACQUIRE_S) as producer, producer.batch():
            for _ in range(count):
                app.send_task(
                    score.NAME,
                    args=(queue_class.value,),
                    queue=queue_class.celery_queue,
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )
    except Exception as error:
        # Whatever it is, the job is recorded: an error here would make the client send it again.
        raise NotPublishedError(f"{type(error).__name__}: {error}") from error
