"""Jobs with a webhook that end, without an API or a worker."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tasks.store import leases
from tasks.store.jobs import Ledger
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.verdicts import Verdict
from tasks.vocabulary.webhooks import Event, Webhook

GOOD = Verdict(0.75, 5, 5)
BAD = ItemError.INFERENCE_FAILED
HOLDER = leases.Holder("worker", 11, siblings=1)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def record(ledger: Ledger, url: str, items: int = 1, events: Sequence[Event] = tuple(Event)) -> str:
    job_id = ledger.ids.mint()
    chunk = Chunk(job_id, 0, [Item.accept("服务很贴心", 99)] * items)
    webhook = Webhook(url, urlsplit(url).hostname or "", events)
    ledger.create([chunk], QueueClass.BULK, Terms(webhook=webhook))
    return job_id


def end(ledger: Ledger, outcomes: Sequence[Outcome] = (GOOD,)) -> None:
    """End the oldest job."""
    held = leases.lease(ledger, QueueClass.BULK, HOLDER, 10**9)
    assert held is not None
    assert leases.finish(ledger, held, [ChunkResult(held.chunks[0], outcomes, 1)], MODEL) == 1


def ended(ledger: Ledger, url: str, events: Sequence[Event] = tuple(Event)) -> str:
    job_id = record(ledger, url, events=events)
    end(ledger)
    return job_id
