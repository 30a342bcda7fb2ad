"""Jobs with a webhook, finished without an API or a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from tasks.store import deliveries, leases
from tasks.store.deliveries import Delivery, Room
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.webhooks import Event, Webhook
from tests.verdicts import rated

GOOD = rated(0.75, 5, 5)
BAD = ItemError.INFERENCE_FAILED
HOLDER = leases.Holder("worker", 11, siblings=1)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def create(
    store: JobStore, url: str, items: int = 1, events: Sequence[Event] = tuple(Event), owner: str = ""
) -> str:
    job_id = store.ids.issue(owner)
    chunk = Chunk(job_id, 0, [Item.accept("服务很贴心", 99)] * items)
    webhook = Webhook(url, urlsplit(url).hostname or "", events)
    store.create(job_id, Terms(owner=owner, queue_class=QueueClass.BULK, webhook=webhook), [chunk])
    return job_id


def finish(store: JobStore, outcomes: Sequence[Outcome] = (GOOD,)) -> None:
    """Finish the oldest job with these outcomes."""
    held = leases.lease(store, QueueClass.BULK, HOLDER, 10**9)
    assert held is not None
    assert leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1)], MODEL) == 1


def finished(store: JobStore, url: str, events: Sequence[Event] = tuple(Event), owner: str = "") -> str:
    job_id = create(store, url, events=events, owner=owner)
    finish(store)
    return job_id


def lease(
    store: JobStore, limit: int = 9, free: int = 256, held: Mapping[str, Mapping[str, int]] | None = None
) -> list[Delivery]:
    """Lease deliveries as a sender does that makes the attempts `held`."""
    return deliveries.lease_due(store, Room(limit, free, 16, held or {}))
