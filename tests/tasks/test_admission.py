"""Who may still come in, decided and counted by the ledger in one step with the creation of the job."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.errors import QuotaExceededError, RefusedError, ServiceFullError, StoreFullError
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.backlog import Queue, read_queues
from tasks.store.cancel import cancel, delete
from tasks.store.jobs import Ledger
from tasks.store.keys import OPEN, OWNERS, Lease, queue
from tasks.store.reconciler import Reconciler
from tasks.store.uploads import SILENCE_MS, append
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tasks.vocabulary.jobs import QueueClass, Terms
from tasks.vocabulary.verdicts import Verdict
from tests.conftest import eventually

CLASS = QueueClass.INTERACTIVE
CHILD = leases.Holder("worker", 1, siblings=1)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
CHARS = 10


@pytest.fixture
def ledger_with(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ledger]:
    def build(**variables: float) -> Ledger:
        assert settings.redis_url
        for name, value in variables.items():
            monkeypatch.setenv(f"SENTIMENT_{name.upper()}", str(value))
        return Ledger.connect(Settings.read())

    return build


def submit(ledger: Ledger, items: int = 1, owner: str = "", text: str = "十个字的文本十个字哦") -> str:
    """Create a job with a chunk for each item."""
    job_id = ledger.ids.mint(owner)
    chunks = [Chunk(job_id, i, [Item.accept(text, 99)]) for i in range(items)]
    ledger.create(chunks, CLASS, Terms(owner=owner))
    return job_id


def admitted(ledger: Ledger, text: str, items: int = 1) -> bool:
    try:
        submit(ledger, items, text=text)
    except RefusedError:
        return False
    return True


def score(ledger: Ledger, chunks: int) -> None:
    """Finish so many chunks as a child does."""
    held = leases.lease(ledger, CLASS, CHILD, chunks * CHARS)
    assert held is not None
    leases.finish(ledger, held, verdicts(held), MODEL)


def verdicts(held: Lease) -> list[ChunkResult]:
    return [ChunkResult(chunk, [Verdict(0.75, 5, 5)] * len(chunk.items), 1) for chunk in held.chunks]


def waiting(ledger: Ledger) -> Queue:
    return read_queues(ledger)[CLASS]


def drains(ledger: Ledger, items_per_s: float, items: int, chars: int = CHARS) -> None:
    """Have the class drain at a known rate with so many items waiting, whatever this machine does."""
    fields = {
        "items": items,
        "cost": items * chars,
        "mark": ledger.now_ms(),
        "done_items": items_per_s * 10,
        "done_cost": items_per_s * chars * 10,
        "done_s": 10,
    }
    ledger.redis.hset(queue(CLASS), mapping=fields)


def test_what_waits_is_counted_until_it_is_done_however_it_ends(ledger: Ledger) -> None:
    submit(ledger, 3, owner="a")
    submit(ledger, 2, owner="b")
    assert waiting(ledger).items == 5
    score(ledger, 2)
    assert (waiting(ledger).items, waiting(ledger).left) == (3, 2)
    assert sum(map(int, ledger.redis.hvals(OWNERS))) == 3
    score(ledger, 10)
    assert (waiting(ledger).items, waiting(ledger).left) == (0, 5)
    assert ledger.redis.hget(queue(CLASS), "cost") == b"0"
    assert not ledger.redis.exists(OWNERS)


@pytest.mark.parametrize("end", ["canceled", "deleted"])
def test_what_is_canceled_or_deleted_waits_no_more(ledger: Ledger, end: str) -> None:
    job_id = submit(ledger, 5, owner="a")
    score(ledger, 2)
    if end == "canceled":
        assert cancel(ledger, job_id)
    else:
        delete(ledger, job_id, "a")
    assert (waiting(ledger).items, waiting(ledger).left) == (0, 5)
    assert ledger.redis.hget(queue(CLASS), "cost") == b"0"
    assert not ledger.redis.exists(OWNERS)


def test_a_job_counts_as_it_grows(ledger: Ledger) -> None:
    job_id = ledger.ids.mint("a")
    first, second = ([Chunk(job_id, start, [Item.accept("好", 9)] * 2)] for start in (0, 2))
    ledger.create(first, CLASS, Terms(owner="a"), silence_ms=SILENCE_MS)
    append(ledger, second, CLASS, None)
    assert waiting(ledger).items == 4
    assert ledger.redis.hget(OWNERS, "a") == b"4"
    assert ledger.job(job_id, "a").ticket == 0


def test_texts_that_cost_nothing_are_counted_too(ledger: Ledger) -> None:
    submit(ledger, 2, text=" ")
    score(ledger, 10)
    assert waiting(ledger).items == 0


def test_a_job_that_is_recorded_twice_is_counted_once(ledger: Ledger) -> None:
    chunks = [Chunk(ledger.ids.mint(), 0, [Item.accept("好", 9)])]
    ledger.create(chunks, CLASS)
    ledger.create(chunks, CLASS)
    assert waiting(ledger).items == 1


def test_the_rate_is_what_children_finish_while_more_waits(ledger: Ledger) -> None:
    submit(ledger, 400)
    assert waiting(ledger).items_per_s is None
    started = ledger.now_ms()
    done = 0
    while ledger.now_ms() - started < 1000:
        score(ledger, 2)
        done += 2
        then = ledger.now_ms()
        eventually(lambda then=then: ledger.now_ms() >= then + 20)  # type: ignore[misc]
    seen = waiting(ledger)
    assert seen.items_per_s == pytest.approx(1000 * done / (ledger.now_ms() - started), rel=0.2)
    assert seen.wait_s == pytest.approx(seen.items / (seen.items_per_s or 1), rel=0.01)


def test_a_quiet_service_learns_no_rate_from_how_little_it_is_asked(ledger: Ledger) -> None:
    started = ledger.now_ms()
    while ledger.now_ms() - started < 1000:
        submit(ledger)
        score(ledger, 1)
    assert waiting(ledger).items_per_s is None


def test_as_long_as_no_rate_is_known_a_short_queue_is_accepted(ledger_with: Callable[..., Ledger]) -> None:
    ledger = ledger_with(assumed_items_per_s=1, target_wait_interactive_s=10)
    submit(ledger, 8)
    submit(ledger, 2)
    with pytest.raises(ServiceFullError) as refusal:
        submit(ledger)
    assert refusal.value.retry_after_s > 0
    assert waiting(ledger).items == 10, "what was refused is not counted"


def test_an_idle_class_accepts_whatever_its_rate(ledger: Ledger) -> None:
    drains(ledger, items_per_s=0.001, items=0)
    submit(ledger, 32)
    with pytest.raises(ServiceFullError):
        submit(ledger)


def test_a_class_accepts_what_it_drains_in_its_target_wait(ledger_with: Callable[..., Ledger]) -> None:
    ledger = ledger_with(target_wait_interactive_s=5, lease_work_s=1)
    drains(ledger, items_per_s=10, items=30)
    submit(ledger, 10)
    assert waiting(ledger).accepting is False
    with pytest.raises(ServiceFullError):
        submit(ledger)
    ledger.redis.hdel(queue(CLASS), "booked")
    drains(ledger, items_per_s=20, items=40)
    assert waiting(ledger).accepting is True
    submit(ledger)


def test_long_texts_count_for_more(ledger_with: Callable[..., Ledger]) -> None:
    ledger = ledger_with(target_wait_interactive_s=5, lease_work_s=1)
    drains(ledger, items_per_s=10, items=10)
    assert admitted(ledger, "短", items=10)
    assert not admitted(ledger, "长" * 99, items=10)


def test_classes_are_admitted_by_themselves(ledger: Ledger) -> None:
    drains(ledger, items_per_s=1, items=100)
    with pytest.raises(ServiceFullError):
        submit(ledger)
    ledger.create([Chunk(ledger.ids.mint(), 0, [Item.accept("好", 9)])], QueueClass.BULK)


def test_a_stalled_class_forgets_its_rate(ledger: Ledger) -> None:
    drains(ledger, items_per_s=1, items=100)
    ledger.redis.hset(queue(CLASS), "mark", ledger.now_ms() - 31_000)
    assert waiting(ledger).items_per_s is None
    submit(ledger)


def test_a_refusal_promises_room_which_others_do_not_take(ledger_with: Callable[..., Ledger]) -> None:
    ledger = ledger_with(target_wait_interactive_s=2, lease_work_s=0.1)
    drains(ledger, items_per_s=100, items=195)
    waits = []
    for text in ("甲", "乙"):
        with pytest.raises(ServiceFullError) as refusal:
            submit(ledger, 20, text=text)
        waits.append(refusal.value.retry_after_s)
    first, second = waits
    assert second == pytest.approx(first + 20 / 100 / 0.8, abs=0.05), "one after the other"
    with pytest.raises(ServiceFullError) as early:
        submit(ledger, 20, text="甲")
    assert early.value.retry_after_s <= first, "whoever asks again early keeps his turn"
    then = ledger.now_ms()
    eventually(lambda: ledger.now_ms() >= then + 1000 * first)
    drains(ledger, items_per_s=100, items=150)
    assert not admitted(ledger, "丙", items=20), "there is room, but it is promised"
    assert admitted(ledger, "甲", items=20)
    drains(ledger, items_per_s=100, items=50)
    assert admitted(ledger, "丁", items=20), "what the promised leave over is for all"


def test_a_quota_is_of_open_items_and_of_one_owner(ledger_with: Callable[..., Ledger]) -> None:
    ledger = ledger_with(quota_items=5)
    submit(ledger, 5, owner="a")
    with pytest.raises(QuotaExceededError) as refusal:
        submit(ledger, 1, owner="a")
    assert refusal.value.retry_after_s > 0
    submit(ledger, 5, owner="b")
    submit(ledger, 9)
    while waiting(ledger).items:
        score(ledger, 99)
    submit(ledger, 2, owner="a")


def test_a_store_that_is_nearly_full_refuses_before_writes_fail(ledger: Ledger) -> None:
    submit(ledger)
    # Beside this, what a server takes for itself, such as for the scripts it has not met before, is little.
    ledger.redis.set("filler", "x" * 20_000_000)
    used = ledger.redis.info("memory")["used_memory"]
    ledger.redis.config_set("maxmemory", int(used * 1.05))
    ledger.headroom._looked = -1
    with pytest.raises(StoreFullError):
        submit(ledger)
    score(ledger, 1)
    assert waiting(ledger).items == 0, "what was accepted is finished all the same"
    ledger.redis.config_set("maxmemory", used * 10)
    ledger.headroom._looked = -1
    submit(ledger)


def test_counts_that_a_lost_record_left_wrong_are_settled_when_nothing_is_open(ledger: Ledger) -> None:
    reconciler = Reconciler(ledger, lambda *_: None, "worker")
    submit(ledger, 3, owner="a")
    reconciler.tick(alive=[])
    assert waiting(ledger).items == 3
    ledger.redis.delete(OPEN)
    reconciler.tick(alive=[])
    assert waiting(ledger).items == 0
    assert not ledger.redis.exists(OWNERS)


def test_the_request_that_brought_a_chunk_is_known_to_whoever_leases_it(ledger: Ledger) -> None:
    for request_id in ("request-1", ""):
        chunks = [Chunk(ledger.ids.mint(), 0, [Item.accept("好", 9)])]
        ledger.create(chunks, CLASS, Terms(request_id=request_id))
    held = leases.lease(ledger, CLASS, CHILD, 10**9)
    assert held is not None
    assert sorted(held.requests) == ["", "request-1"]
