"""Usage is counted in the step that writes outcomes, once, and folded by month without losing anything."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tasks.store import leases
from tasks.store.cancel import cancel_job, expire_chunks
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key, usage_key
from tasks.store.usage import (
    DAILY_DAYS,
    KEPT_DAYS,
    UsageFolder,
    fold,
    read_usage,
    read_usages,
    today,
    total_usage,
    usage_owners,
)
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.usage import USAGE_NAMES, Usage, shares_of_time
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test"}
GOOD = rated(0.75, 5, 5)
EPOCH = date(1970, 1, 1)


def record(store: JobStore, *texts: str, owner: str = "anna") -> str:
    job_id = store.ids.issue(owner)
    chunks = [Chunk(job_id, i, [Item.accept(text, 99)]) for i, text in enumerate(texts)]
    store.create(job_id, Terms(owner=owner, queue_class=QueueClass.BULK), chunks)
    return job_id


def finish(store: JobStore, *outcomes: Outcome, forward_ms: int = 0) -> leases.Lease:
    """Finish what a lease holds, twice: the answer of the first call got lost."""
    held = leases.lease(store, CHILD, 10**9)
    assert held is not None
    results = [
        ChunkResult(leased.chunk, [outcome], 1) for leased, outcome in zip(held.chunks, outcomes, strict=True)
    ]
    for _ in range(2):
        leases.finish(store, held, results, MODEL, {"forward_s:sum": forward_ms})
    return held


def used(store: JobStore, owner: str = "anna") -> Usage:
    return sum(read_usage(store, owner, EPOCH, date(9999, 1, 1)).values(), Usage())


def test_outcomes_are_counted_once_however_often_they_are_written(store: JobStore) -> None:
    record(store, "很好", "不好吃", "一般")
    finish(store, GOOD, GOOD, ItemError.INFERENCE_FAILED, forward_ms=101)
    ((period, model), usage), *rest = read_usage(store, "anna", EPOCH, date(9999, 1, 1)).items()
    assert (str(period), model, rest) == (today(store).isoformat(), MODEL_NAME, [])
    assert usage == Usage(items=3, errors=1, characters=5, tokens=10, model_ms=101)
    assert usage_owners(store) == ["anna"]
    assert total_usage(store, ["anna", "ben"]) == {"anna": usage, "ben": Usage()}


def test_the_time_of_a_lease_is_divided_among_its_owners(store: JobStore) -> None:
    record(store, "很好", owner="anna")
    record(store, "很好", "很好", owner="ben")
    held = finish(store, GOOD, GOOD, GOOD, forward_ms=100)
    assert len(held.chunks) == 3
    assert used(store).model_ms + used(store, "ben").model_ms == 100
    assert used(store, "ben").model_ms in (66, 67)


@pytest.mark.parametrize("model_ms", [0, 1, 7, 1000])
def test_parts_of_time_add_up(model_ms: int) -> None:
    chunk = Chunk("job", 0, [Item.accept("好", 9)])
    ends: list[Outcome] = [rated(0.75, tokens, tokens) for tokens in (3, 5, 11)]
    results = [ChunkResult(chunk, [end], 1) for end in [*ends, ItemError.CANCELED]]
    parts = list(shares_of_time(results, model_ms))
    assert sum(parts) == model_ms
    assert parts == [*sorted(parts[:3]), 0]
    assert sum(shares_of_time(results[3:], model_ms)) == model_ms, "also where nothing was computed"
    assert list(shares_of_time([], model_ms)) == []


def test_every_way_in_which_an_item_ends_is_counted(store: JobStore) -> None:
    canceled = record(store, "一", "二")
    assert cancel_job(store, canceled)
    assert used(store) == Usage(items=2, errors=2)
    late = record(store, "一", "二", "三")
    store.redis.hset(job_key(late), "deadline", 1)
    for _ in range(2):
        expire_chunks(store, late, ItemError.DEADLINE_EXCEEDED)
    assert used(store) == Usage(items=5, errors=5)
    lost = record(store, "一")
    store.redis.delete(job_key(lost, "chunks"))
    args = {"job_id": lost, "status": "timed_out", "code": ItemError.DEADLINE_EXCEEDED}
    for _ in range(2):
        store.run("close_overdue", args)
    assert used(store) == Usage(items=6, errors=6)


def put(store: JobStore, day: date, model: str = MODEL_NAME, **counts: int) -> None:
    number = (day - EPOCH).days
    for name, count in counts.items():
        store.redis.hset(usage_key("anna"), f"{number} {model} {name}", count)
        store.redis.hincrby(usage_key("anna"), f"all {name}", count)
    store.redis.zadd("sentiq:usage_owners", {"anna": 1})


def test_months_of_old_days_are_folded_and_later_forgotten(store: JobStore) -> None:
    day = date(2026, 11, 28)
    put(store, date(2026, 8, 1), items=1, tokens=10)
    put(store, date(2026, 8, 31), items=2, errors=1)
    put(store, date(2026, 8, 31), model="other", items=4)
    put(store, date(2026, 9, 30), items=8)  # younger than 62 days
    whole = used(store)
    fold(store, "anna", day)
    fold(store, "anna", day)
    assert used(store) == whole
    found = {
        (str(period), model): usage
        for (period, model), usage in read_usage(store, "anna", EPOCH, day).items()
    }
    assert found == {
        ("2026-08", MODEL_NAME): Usage(items=3, errors=1, tokens=10),
        ("2026-08", "other"): Usage(items=4),
        ("2026-09-30", MODEL_NAME): Usage(items=8),
    }
    assert read_usage(store, "anna", date(2026, 8, 31), date(2026, 8, 31)).keys() == {
        place for place in read_usage(store, "anna", EPOCH, day) if str(place[0]) == "2026-08"
    }, "a folded month is whole"
    assert not read_usage(store, "anna", date(2026, 9, 1), date(2026, 9, 29))
    fold(store, "anna", date(2026, 8, 31) + timedelta(KEPT_DAYS))
    assert used(store).items == 15
    fold(store, "anna", date(2026, 8, 31) + timedelta(KEPT_DAYS + 1))
    assert used(store).items == 8
    fold(store, "anna", date(2026, 9, 30) + timedelta(KEPT_DAYS + 1))
    assert not store.redis.exists(usage_key("anna"))
    assert usage_owners(store) == []


@pytest.mark.parametrize("days", range(55, 101, 5))
def test_a_day_is_kept_by_day_for_62_days_at_least(store: JobStore, days: int) -> None:
    now = date(2026, 11, 28)
    put(store, now - timedelta(days), items=1)
    fold(store, "anna", now)
    ((period, _),) = read_usage(store, "anna", EPOCH, now)
    by_day = period.first == period.last
    assert by_day or days > DAILY_DAYS
    assert not by_day or days <= DAILY_DAYS + 31


def test_the_reconciler_folds_once_an_hour(store: JobStore) -> None:
    folder, old = UsageFolder(store), date(2020, 1, 1)
    put(store, old, items=1)
    folder.fold(store.now_ms())
    assert used(store) == Usage()
    put(store, old, items=1)
    folder.fold(store.now_ms())
    assert used(store).items == 1
    folder.fold(store.now_ms() + 3_600_000)
    assert used(store) == Usage()


def test_names_of_counts_are_those_of_the_record() -> None:
    assert USAGE_NAMES == ("items", "errors", "characters", "tokens", "model_ms")
    assert Usage.read(Usage(1, 0, 3).counts) == Usage(1, 0, 3)


def test_many_owners_are_read_in_few_round_trips(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    owners = [f"{number:08}" for number in range(250)]
    pipe = store.redis.pipeline()
    for number, owner in enumerate(owners):
        pipe.hset(usage_key(owner), f"20000 {MODEL_NAME} items", number + 1)
    pipe.execute()
    made: list[Any] = []
    pipeline = store.redis.pipeline

    def counted(**how: Any) -> Any:
        made.append(how)
        return pipeline(**how)

    monkeypatch.setattr(store.redis, "pipeline", counted)
    read = dict(read_usages(store, owners, EPOCH, date(9999, 1, 1)))
    assert [sum(each.values(), Usage()).items for each in read.values()] == list(range(1, 251))
    assert (list(read), len(made)) == (owners, 3)
