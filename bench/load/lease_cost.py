"""Print the microseconds that Redis takes for a lease, with chunks of some owners waiting, as JSON.

Runs against the `tasks` on PYTHONPATH, so that those of another commit can be measured too, and empties the
Redis that REDIS_URL names.
"""

from __future__ import annotations

import json
import sys

from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms

MODEL = "fairness"
CHUNK_CHARS, BUDGET_CHUNKS, JOB_CHUNKS = 400, 4, 10


def main() -> None:
    """Record chunks, lease some of them, each lease by a child of its own, and print what a lease took."""
    owners, chunks, count = map(int, sys.argv[1:])
    store = JobStore.connect(Settings.read())
    store.redis.flushall()
    for number in range(chunks // JOB_CHUNKS):
        _record(store, f"owner{number % owners}")
    _lease(store, 0, count)  # the first calls load the script
    store.redis.config_resetstat()
    _lease(store, count, count)
    calls, micros = _scripts(store)
    print(json.dumps({"calls": calls, "micros": micros / calls}))


def _record(store: JobStore, owner: str) -> None:
    job_id = store.ids.issue(owner)
    items = [Item.accept("字" * CHUNK_CHARS, CHUNK_CHARS)]
    made = [Chunk(job_id, start, items, max_tokens=CHUNK_CHARS) for start in range(JOB_CHUNKS)]
    store.create(job_id, Terms(model=MODEL, queue_class=QueueClass.BULK, owner=owner), made)


def _lease(store: JobStore, first: int, count: int) -> None:
    for number in range(first, first + count):
        child = leases.Holder(f"worker{number}", 1, siblings=2, model=MODEL)
        held = leases.lease(store, child, BUDGET_CHUNKS * CHUNK_CHARS)
        if held is None or len(held.chunks) != BUDGET_CHUNKS:
            message = f"lease {number} has not {BUDGET_CHUNKS} chunks"
            raise RuntimeError(message)


def _scripts(store: JobStore) -> tuple[int, int]:
    """Return how many scripts ran since the statistics were reset, and their microseconds."""
    ran = store.redis.info("commandstats")["cmdstat_evalsha"]
    return ran["calls"], ran["usec"]


if __name__ == "__main__":
    main()
