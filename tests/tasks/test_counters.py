from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from api.output.store_collector import exposition
from tasks.errors import QuotaExceededError, ServiceFullError, StoreFullError
from tasks.settings import Settings
from tasks.store import deliveries, leases
from tasks.store.backlog import read_backlogs
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.counters import HISTOGRAMS, Counters, LocalCounters
from tasks.store.deliveries import AttemptOutcome
from tasks.store.jobs import JobStore
from tasks.store.keys import COUNTERS
from tasks.store.leases import Lease
from tasks.store.models import Models, register
from tasks.store.scripts import source
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tasks.vocabulary.webhooks import DeliveryStatus, Webhook
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated
from tests.webhooks.jobs import lease

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
INCLUDE = Path(__file__).parents[2] / "tasks" / "store" / "lua" / "include" / "counters.lua"
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test"}


def record(store: JobStore, items: int = 3, terms: Terms | None = None) -> str:
    job_id = store.ids.issue(terms.owner if terms else "")
    store.create(
        job_id,
        replace(terms or Terms(), queue_class=BULK),
        [Chunk(job_id, 0, [Item.accept("好", 9)] * items)],
    )
    return job_id


def take(store: JobStore) -> Lease:
    held = leases.lease(store, CHILD, 10**9)
    assert held is not None
    return held


def results(held: Lease) -> list[ChunkResult]:
    return [
        ChunkResult(leased.chunk, [rated(0.75, 5, 5)] * len(leased.chunk.items), 1) for leased in held.chunks
    ]


def counted(store: JobStore) -> dict[str, int]:
    return dict(Counters.read(store).counts)


@pytest.mark.parametrize(
    ("value", "power"), [(1, 0), (2, 1), (2.001, 2), (0.001, -9), (0.25, -2), (0.251, -1), (200, 8)]
)
def test_a_value_is_in_the_bucket_of_the_smallest_power_of_two_that_is_not_below_it(
    store: JobStore, value: float, power: int
) -> None:
    counters = LocalCounters()
    counters.observe("forward_s", value)
    assert dict(counters.take()) == {f"forward_s:{power}": 1, "forward_s:sum": round(value * 1000)}
    assert dict(counters.take()) == {}, "what was taken is not counted again"
    # The job store's own scripts put it into the same one.
    script = source(INCLUDE) + "counters.observe('forward_s', args.ms)"
    store.redis.eval(script, 0, json.dumps({"ms": value * 1000}))
    assert counted(store) == {f"forward_s:{power}": 1, "forward_s:sum": int(value * 1000)}


def test_buckets_add_up_and_the_last_holds_all(store: JobStore) -> None:
    counts = {"batch_rows:0": 3, "batch_rows:8": 2, "batch_rows:12": 1, "batch_rows:sum": 99}
    store.redis.hset(COUNTERS, mapping=counts)
    buckets, total = Counters.read(store).histogram("batch_rows")
    shape = HISTOGRAMS["batch_rows"]
    bounds = [2.0**end for end in range(shape.lowest, shape.highest + 1)]
    assert [bound for bound, _ in buckets] == [*bounds, math.inf]
    assert [count for _, count in buckets] == [3] * 8 + [5, 6]
    assert total == 99


def test_what_is_written_is_counted_once_however_often_it_is_told(store: JobStore) -> None:
    record(store)
    held = take(store)
    first = leases.finish(store, held, results(held), MODEL, {"batch_rows:1": 1})
    again = leases.finish(store, held, results(held), MODEL, {"batch_rows:1": 1})
    assert (first, again) == (1, 1), "the same outcomes are stored: the second call may be a repetition"
    found = counted(store)
    assert found["admitted:test:bulk"] == found["items:test:succeeded"] == found["attempts:test:1"] == 3
    assert found["batch_rows:test:1"] == 1


def test_recording_a_job_twice_admits_it_once(store: JobStore) -> None:
    job_id = store.ids.issue()
    for _ in range(2):
        store.create(job_id, Terms(queue_class=BULK), [Chunk(job_id, 0, [Item.accept("好", 9)])])
    assert counted(store)["admitted:test:bulk"] == 1


def test_canceled_and_deleted_items_are_counted_out(store: JobStore) -> None:
    canceled, deleted = record(store, 2), record(store, 3)
    assert cancel_job(store, canceled)
    delete_job(store, deleted, "")
    found = counted(store)
    assert (found["items:test:canceled"], found["items:test:deleted"]) == (2, 3)
    assert (
        sum(count for name, count in found.items() if name.startswith("items:"))
        == found["admitted:test:bulk"]
    )
    delete_job(store, canceled, "")
    assert counted(store)["items:test:deleted"] == 3, "what was over is not counted out again"


def test_refusals_are_counted_by_reason(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_QUOTA_ITEMS", "4")
    monkeypatch.setenv("SENTIMENT_TARGET_WAIT_BULK_S", "0.05")
    strict = JobStore.connect(Settings.read())
    record(strict, 3, Terms(owner="a"))
    with pytest.raises(QuotaExceededError):
        record(strict, 3, Terms(owner="a"))
    with pytest.raises(ServiceFullError):
        record(strict, 9)
    strict.redis.setrange("ballast", 20_000_000, b"x")  # unlike a value that is sent, it needs no buffer
    used = strict.redis.info("memory")["used_memory"]
    strict.redis.config_set("maxmemory", int(used / 0.95))
    with pytest.raises(StoreFullError):
        record(JobStore.connect(Settings.read()))
    found = {name: count for name, count in counted(store).items() if name.startswith("refused:")}
    assert found == {"refused:quota_exceeded": 1, "refused:service_full": 1, "refused:store_full": 1}


def test_verdicts_are_counted_by_model_and_label(store: JobStore) -> None:
    record(store, items=4)
    held = take(store)
    outcomes: list[Outcome] = [
        rated(0.75, 5, 5),
        rated(0.25, 5, 5),
        rated(0.6, 5, 5, uncertain=True),
        ItemError.INFERENCE_FAILED,
    ]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1)], MODEL)
    register(store, "moods", {"labels": [{"id": "joy"}, {"id": "anger"}]})
    lines = exposition(store, Models(store)).decode().splitlines()
    assert [line for line in lines if line.startswith(("sentiq_verdicts", "sentiq_uncertain"))] == [
        'sentiq_verdicts_total{label="joy",model="moods"} 0.0',
        'sentiq_verdicts_total{label="anger",model="moods"} 0.0',
        'sentiq_verdicts_total{label="negative",model="test"} 1.0',
        'sentiq_verdicts_total{label="positive",model="test"} 2.0',
        'sentiq_uncertain_verdicts_total{model="moods"} 0.0',
        'sentiq_uncertain_verdicts_total{model="test"} 1.0',
    ]


def test_attempts_at_a_webhook_are_counted_once_by_what_came_of_them(store: JobStore) -> None:
    record(store, terms=Terms(webhook=Webhook("http://1.1.1.1/", "1.1.1.1")))
    assert deliveries.read_due(store).deliveries == 0
    held = take(store)
    leases.finish(store, held, results(held), MODEL)
    eventually(lambda: deliveries.read_due(store).late_s > 0)
    assert deliveries.read_due(store).deliveries == 1
    (delivery,) = lease(store, limit=1)
    for _ in range(2):
        deliveries.record_attempt(store, delivery, AttemptOutcome(500), DeliveryStatus.PENDING)
    assert counted(store)["webhooks:pending"] == 1
    (delivery,) = lease(store, limit=1)
    deliveries.record_attempt(store, delivery, AttemptOutcome(200), DeliveryStatus.DELIVERED)
    assert counted(store)["webhooks:delivered"] == 1
    assert deliveries.read_due(store).deliveries == 0


def test_the_age_of_the_oldest_is_that_of_what_nobody_leased(store: JobStore) -> None:
    assert read_backlogs(store, [MODEL_NAME])[QUEUE].oldest_s == 0
    record(store)
    eventually(lambda: read_backlogs(store, [MODEL_NAME])[QUEUE].oldest_s >= 0.05)
    take(store)
    assert read_backlogs(store, [MODEL_NAME])[QUEUE].oldest_s == 0


def test_an_item_that_could_not_be_accepted_is_counted_by_its_code(store: JobStore) -> None:
    job_id = store.ids.issue()
    store.create(
        job_id, Terms(queue_class=BULK), [Chunk(job_id, 0, [Item.accept(" ", 9), Item.accept("好", 9)])]
    )
    held = take(store)
    outcomes: list[Outcome] = [ItemError.EMPTY_TEXT, rated(0.75, 5, 5)]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, outcomes, 1)], MODEL)
    assert store.job(job_id).status is JobStatus.PARTIAL
    found = counted(store)
    assert (found["items:test:empty_text"], found["items:test:succeeded"]) == (1, 1)
