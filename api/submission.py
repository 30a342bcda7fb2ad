"""Turning texts into a job: record first, then publish, so that what was accepted cannot be lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from celery import Celery

from api.requests import request_id
from tasks.chunks import Chunk
from tasks.jobs import Item, Job, QueueClass
from tasks.ledger import Ledger
from tasks.options import PLAIN, Options
from tasks.publishing import NotPublishedError, ring
from tasks.settings import Settings

logger = logging.getLogger(__name__)


class Submission:
    """Creates jobs. Raises LedgerUnavailableError when nothing was recorded, hence nothing promised."""

    def __init__(self, ledger: Ledger, celery: Celery, settings: Settings) -> None:
        self._ledger = ledger
        self._celery = celery
        self._settings = settings

    def submit(self, items: Sequence[Item], options: Options = PLAIN) -> Job:
        """Record the items as one job, send its messages, return it as it was recorded."""
        settings = self._settings
        job_id = self._ledger.ids.mint()
        chunks = list(cut(job_id, items, settings.chunk_items, settings.chunk_chars, options))
        small = len(items) <= settings.interactive_items
        queue_class = QueueClass.INTERACTIVE if small else QueueClass.BULK
        job, refs = self._ledger.create(chunks, queue_class)
        logger.info("accepted %s: %d items, %s (request %s)", job_id, len(items), queue_class, request_id())
        try:
            ring(self._celery, queue_class, refs)
        except NotPublishedError as error:
            logger.warning("%s is recorded but not published, the reconciler will send it: %s", job_id, error)
        return job


def cut(
    job_id: str, items: Iterable[Item], max_items: int, max_cost: int, options: Options = PLAIN
) -> Iterator[Chunk]:
    """Cut items into chunks of neighbours within both limits; a single item may exceed `max_cost`."""
    part: list[Item] = []
    start = spent = 0
    for item in items:
        cost = options.cost(len(item.text))
        if part and (len(part) == max_items or spent + cost > max_cost):
            yield Chunk(job_id, start, part, options)
            start, part, spent = start + len(part), [], 0
        part.append(item)
        spent += cost
    if part:
        yield Chunk(job_id, start, part, options)
