"""Deleting a job erases all of its parts: the list of them is that of the schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tasks.store import deliveries
from tasks.store.cancel import delete_job, erase_job
from tasks.store.deliveries import AttemptOutcome
from tasks.store.jobs import JobStore
from tasks.store.keys import DELIVERY_TURNS, JOB_PARTS, deliveries_key, job_key
from tasks.vocabulary.webhooks import DeliveryStatus
from tests.webhooks.jobs import create, finished, lease

ROOT = Path(__file__).parents[2]


def test_the_list_of_parts_is_that_of_the_schema_and_of_the_scripts() -> None:
    page = (ROOT / "docs" / "redis.md").read_text("utf-8")
    assert set(JOB_PARTS) == set(re.findall(r"`job:\{id\}:(\w+)`", page))
    code = "".join(path.read_text("utf-8") for path in (ROOT / "tasks" / "store").rglob("*.lua"))
    assert set(re.findall(r"(?:job|key|id) \.\. ':(\w+)'", code)) <= set(JOB_PARTS)


def test_a_deleted_job_calls_no_webhook_and_leaves_nothing_but_its_tombstone(store: JobStore) -> None:
    job_id = finished(store, "http://example.com/hook?secret=1")
    (delivery,) = lease(store)
    deliveries.record_attempt(store, delivery, AttemptOutcome(status_code=500), DeliveryStatus.PENDING, 0)
    delete_job(store, job_id, "")
    assert lease(store) == []
    assert not store.redis.exists(DELIVERY_TURNS, deliveries_key(""))
    assert [key.decode() for key in store.redis.scan_iter(f"*{job_id}*")] == [f"sentiq:tombstone:{job_id}"]
    deliveries.record_attempt(store, delivery, AttemptOutcome(status_code=500), DeliveryStatus.PENDING, 0)
    assert not store.redis.exists(DELIVERY_TURNS, deliveries_key("")), (
        "an attempt that was under way brings nothing back"
    )


def test_a_repeated_lease_leaves_out_what_was_deleted_meanwhile(store: JobStore) -> None:
    deleted, kept = (finished(store, "http://example.com/hook") for _ in range(2))
    room = {"limit": 9, "free": 9, "per_host": 9, "held": {}, "max_attempts": 9, "lease_ms": 60_000}
    call = json.dumps(room | {"call": "the same call, sent again after its answer got lost"})
    script = store.run.__self__._scripts["lease_deliveries"]  # type: ignore[attr-defined]
    assert len(script(args=[call])) == 2
    delete_job(store, deleted, "")
    again = script(args=[call])
    assert [job_id.decode() for job_id, _ in again] == [kept]


def test_every_part_goes(store: JobStore) -> None:
    job_id = create(store, "http://example.com/hook")
    for part in JOB_PARTS:
        store.redis.delete(job_key(job_id, part))
        store.redis.set(job_key(job_id, part), "something")
    erase_job(store, job_id, "")
    assert list(store.redis.scan_iter(f"*{job_id}*")) == []
