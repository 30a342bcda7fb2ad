"""Jobs with a webhook, finished without an API or a worker."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from tasks.store import deliveries, leases
from tasks.store.deliveries import Delivery, Room
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.webhooks import Event, Webhook
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

GOOD = rated(0.75, 5, 5)
BAD = ItemError.INFERENCE_FAILED
QUEUE = Queue(MODEL_NAME, QueueClass.BULK)
HOLDER = leases.Holder("worker", 11, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def create(
    store: JobStore, url: str, items: int = 1, events: Sequence[Event] = tuple(Event), owner: str = ""
) -> str:
    job_id = store.ids.issue(owner)
    chunk = Chunk(job_id, 0, [Item.accept("服务很贴心", 99)] * items)
    webhook = Webhook(url, urlsplit(url).hostname or "", events)
    store.create(job_id, Terms(owner=owner, queue_class=QueueClass.BULK, webhook=webhook), [chunk])
    return job_id


def lease_bulk(store: JobStore, budget: int = 10**9) -> leases.Lease:
    """Lease the oldest bulk chunks; interactive ones, which come first, are left to other children."""
    pids = itertools.count(HOLDER.pid)
    while (held := leases.lease(store, replace(HOLDER, pid=next(pids)), budget)) and held.queue != QUEUE:
        pass
    assert held is not None
    return held


def finish(store: JobStore, outcomes: Sequence[Outcome] = (GOOD,)) -> None:
    """Finish the oldest bulk job with these outcomes."""
    held = lease_bulk(store)
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
