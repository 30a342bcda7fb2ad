from __future__ import annotations

import math
from pathlib import Path

import pytest

from tasks.errors import QuotaExceededError, ServiceFullError, StoreFullError
from tasks.settings import Settings
from tasks.store import deliveries, leases
from tasks.store.backlog import read_queues
from tasks.store.cancel import cancel, delete
from tasks.store.counters import HISTOGRAMS, Figures, Tally
from tasks.store.deliveries import Answer, DeliveryStatus
from tasks.store.jobs import Ledger
from tasks.store.keys import COUNTERS, Lease
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import JobStatus, QueueClass, Terms
from tasks.vocabulary.verdicts import Verdict
from tasks.vocabulary.webhooks import Webhook
from tests.conftest import eventually

BULK = QueueClass.BULK
ACCOUNT = Path(__file__).parent.parent.parent / "tasks" / "store" / "lua" / "include" / "counters.lua"
CHILD = leases.Holder("worker", 1, siblings=1)
MODEL = {"id": "test"}


def record(ledger: Ledger, items: int = 3, terms: Terms | None = None) -> str:
    job_id = ledger.ids.mint(terms.owner if terms else "")
    ledger.create([Chunk(job_id, 0, [Item.accept("好", 9)] * items)], BULK, terms or Terms())
    return job_id


def take(ledger: Ledger) -> Lease:
    held = leases.lease(ledger, BULK, CHILD, 10**9)
    assert held is not None
    return held


def results(held: Lease) -> list[ChunkResult]:
    return [ChunkResult(chunk, [Verdict(0.75, 5, 5)] * len(chunk.items), 1) for chunk in held.chunks]


def counted(ledger: Ledger) -> dict[str, int]:
    return dict(Figures.read(ledger).counts)


@pytest.mark.parametrize(
    ("value", "power"), [(1, 0), (2, 1), (2.001, 2), (0.001, -9), (0.25, -2), (0.251, -1), (200, 8)]
)
def test_a_value_is_in_the_bucket_of_the_smallest_power_of_two_that_is_not_below_it(
    ledger: Ledger, value: float, power: int
) -> None:
    tally = Tally()
    tally.observe("forward_s", value)
    assert dict(tally.take()) == {f"forward_s:{power}": 1, "forward_s:sum": round(value * 1000)}
    assert dict(tally.take()) == {}, "what was taken is not counted again"
    # The ledger's own scripts put it into the same one.
    script = ACCOUNT.read_text("utf-8") + "account.observe('sentiq:', 'forward_s', tonumber(ARGV[1]))"
    ledger.redis.eval(script, 0, value * 1000)
    assert counted(ledger) == {f"forward_s:{power}": 1, "forward_s:sum": int(value * 1000)}


def test_buckets_add_up_and_the_last_holds_all(ledger: Ledger) -> None:
    counts = {"batch_items:0": 3, "batch_items:8": 2, "batch_items:12": 1, "batch_items:sum": 99}
    ledger.redis.hset(COUNTERS, mapping=counts)
    buckets, total = Figures.read(ledger).histogram("batch_items")
    shape = HISTOGRAMS["batch_items"]
    bounds = [2.0**end for end in range(shape.lowest, shape.highest + 1)]
    assert [bound for bound, _ in buckets] == [*bounds, math.inf]
    assert [count for _, count in buckets] == [3] * 8 + [5, 6]
    assert total == 99


def test_what_is_written_is_counted_once_however_often_it_is_told(ledger: Ledger) -> None:
    record(ledger)
    held = take(ledger)
    first = leases.finish(ledger, held, results(held), MODEL, {"batch_items:1": 1})
    again = leases.finish(ledger, held, results(held), MODEL, {"batch_items:1": 1})
    assert (first, again) == (1, 0)
    found = counted(ledger)
    assert found["admitted:bulk"] == found["items:succeeded"] == found["attempts:1"] == 3
    assert found["batch_items:1"] == 1


def test_recording_a_job_twice_admits_it_once(ledger: Ledger) -> None:
    job_id = ledger.ids.mint()
    for _ in range(2):
        ledger.create([Chunk(job_id, 0, [Item.accept("好", 9)])], BULK)
    assert counted(ledger)["admitted:bulk"] == 1


def test_canceled_and_deleted_items_are_counted_out(ledger: Ledger) -> None:
    canceled, deleted = record(ledger, 2), record(ledger, 3)
    assert cancel(ledger, canceled)
    delete(ledger, deleted, "")
    found = counted(ledger)
    assert (found["items:canceled"], found["items:deleted"]) == (2, 3)
    assert sum(count for name, count in found.items() if name.startswith("items:")) == found["admitted:bulk"]
    delete(ledger, canceled, "")
    assert counted(ledger)["items:deleted"] == 3, "what was over is not counted out again"


def test_refusals_are_counted_by_reason(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_QUOTA_ITEMS", "4")
    monkeypatch.setenv("SENTIMENT_TARGET_WAIT_BULK_S", "0.05")
    strict = Ledger.connect(Settings.read())
    record(strict, 3, Terms(owner="a"))
    with pytest.raises(QuotaExceededError):
        record(strict, 3, Terms(owner="a"))
    with pytest.raises(ServiceFullError):
        record(strict, 9)
    strict.redis.set("ballast", b"x" * 20_000_000)
    used = strict.redis.info("memory")["used_memory"]
    strict.redis.config_set("maxmemory", int(used / 0.95))
    with pytest.raises(StoreFullError):
        record(Ledger.connect(Settings.read()))
    found = {name: count for name, count in counted(ledger).items() if name.startswith("refused:")}
    assert found == {"refused:quota_exceeded": 1, "refused:service_full": 1, "refused:store_full": 1}


def test_attempts_at_a_webhook_are_counted_once_by_what_came_of_them(ledger: Ledger) -> None:
    record(ledger, terms=Terms(webhook=Webhook("http://1.1.1.1/", "1.1.1.1")))
    assert deliveries.due(ledger).deliveries == 0
    held = take(ledger)
    leases.finish(ledger, held, results(held), MODEL)
    eventually(lambda: deliveries.due(ledger).late_s > 0)
    assert deliveries.due(ledger).deliveries == 1
    (delivery,) = deliveries.lease(ledger, 1, ())
    for _ in range(2):
        deliveries.settle(ledger, delivery, Answer(500), DeliveryStatus.PENDING)
    assert counted(ledger)["webhooks:pending"] == 1
    (delivery,) = deliveries.lease(ledger, 1, ())
    deliveries.settle(ledger, delivery, Answer(200), DeliveryStatus.DELIVERED)
    assert counted(ledger)["webhooks:delivered"] == 1
    assert deliveries.due(ledger).deliveries == 0


def test_the_age_of_the_oldest_is_that_of_what_nobody_leased(ledger: Ledger) -> None:
    assert read_queues(ledger)[BULK].oldest_s == 0
    record(ledger)
    eventually(lambda: read_queues(ledger)[BULK].oldest_s >= 0.05)
    take(ledger)
    assert read_queues(ledger)[BULK].oldest_s == 0


def test_an_item_that_could_not_be_accepted_is_counted_by_its_code(ledger: Ledger) -> None:
    job_id = ledger.ids.mint()
    ledger.create([Chunk(job_id, 0, [Item.accept(" ", 9), Item.accept("好", 9)])], BULK)
    held = take(ledger)
    outcomes: list[Outcome] = [ItemError.EMPTY_TEXT, Verdict(0.75, 5, 5)]
    leases.finish(ledger, held, [ChunkResult(held.chunks[0], outcomes, 1)], MODEL)
    assert ledger.job(job_id).status is JobStatus.PARTIAL
    found = counted(ledger)
    assert (found["items:empty_text"], found["items:succeeded"]) == (1, 1)
