"""Jobs with a webhook, finished without an API or a worker."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.verdicts import Verdict
from tasks.vocabulary.webhooks import Event, Webhook

GOOD = Verdict(0.75, 5, 5)
BAD = ItemError.INFERENCE_FAILED
HOLDER = leases.Holder("worker", 11, siblings=1)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def create(store: JobStore, url: str, items: int = 1, events: Sequence[Event] = tuple(Event)) -> str:
    job_id = store.ids.issue()
    chunk = Chunk(job_id, 0, [Item.accept("服务很贴心", 99)] * items)
    webhook = Webhook(url, urlsplit(url).hostname or "", events)
    store.create(job_id, Terms(queue_class=QueueClass.BULK, webhook=webhook), [chunk])
    return job_id


def finish(store: JobStore, outcomes: Sequence[Outcome] = (GOOD,)) -> None:
    """Finish the oldest job with these outcomes."""
    held = leases.lease(store, QueueClass.BULK, HOLDER, 10**9)
    assert held is not None
    assert leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1)], MODEL) == 1


def finished(store: JobStore, url: str, events: Sequence[Event] = tuple(Event)) -> str:
    job_id = create(store, url, events=events)
    finish(store)
    return job_id
