"""Sending one message a chunk: a claim check `(job_id, start)`, never a text."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery
from kombu.exceptions import KombuError
from redis import RedisError

from tasks.broker.celery_app import SCORE_TASK
from tasks.store.keys import ChunkRef
from tasks.vocabulary.jobs import QueueClass


class NotPublishedError(Exception):
    """The messages may not have arrived. The job is safe: the reconciler sends what is missing."""


def publish_wakeups(app: Celery, queue_class: QueueClass, refs: Sequence[ChunkRef]) -> None:
    """Send a message for each chunk, all in one round trip. Raises NotPublishedError."""
    try:
        with app.producer_pool.acquire(block=True, timeout=1) as producer, producer.batch():
            for ref in refs:
                app.send_task(
                    SCORE_TASK,
                    args=(ref.job_id, ref.start),
                    queue=queue_class.queue,
                    producer=producer,
                    retry=False,
                    ignore_result=True,
                )
    except (KombuError, RedisError, OSError) as error:
        raise NotPublishedError(str(error)) from error
