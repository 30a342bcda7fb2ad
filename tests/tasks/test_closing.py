from __future__ import annotations

from collections.abc import Sequence

import pytest

from tasks.errors import JobDeletedError, LeaseCanceledError, LeaseLostError, NothingToRetryError
from tasks.store import leases
from tasks.store import uploads as growing
from tasks.store.cancel import cancel, delete
from tasks.store.jobs import Ledger
from tasks.store.keys import WORKERS, Lease, Ref, job_key, leased, pending
from tasks.store.reconciler import Reconciler
from tasks.store.retry import kept_items
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import JobError, JobStatus, QueueClass
from tasks.vocabulary.verdicts import Verdict
from tests.conftest import eventually

BULK = QueueClass.BULK
CHILD = leases.Holder("worker", 1, siblings=1)
GOOD = Verdict(0.75, 5, 5)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def chunk(job_id: str, start: int, *texts: str) -> Chunk:
    return Chunk(job_id, start, [Item.accept(text, 99) for text in texts])


def record(ledger: Ledger, chunks: int, text: str = "十个字的文本十个字哦") -> str:
    """Create a job of chunks with one text each."""
    job_id = ledger.ids.mint()
    ledger.create([chunk(job_id, i, text) for i in range(chunks)], BULK)
    return job_id


def take(ledger: Ledger, budget: int = 0) -> Lease:
    held = leases.lease(ledger, BULK, CHILD, budget)
    assert held is not None
    return held


def finish(ledger: Ledger, held: Lease, outcome: Verdict | ItemError = GOOD) -> int:
    results = [ChunkResult(each, [outcome] * len(each.items), 1) for each in held.chunks]
    return leases.finish(ledger, held, results, MODEL)


def seem_alive(ledger: Ledger) -> None:
    ledger.redis.hset(WORKERS, "worker", b'{"until_ms": 9999999999999, "model": {"id": "test"}}')


def outcomes(ledger: Ledger, job_id: str) -> list[object]:
    return [item.outcome for item in ledger.results(job_id, 0, 999).items]


def silent(queue_class: QueueClass, refs: Sequence[Ref]) -> None:
    """Ring nobody."""


def test_a_canceled_job_that_nobody_works_on_is_over_at_once_and_never_leased(ledger: Ledger) -> None:
    job_id, other = record(ledger, 300), record(ledger, 1)
    assert cancel(ledger, job_id)
    job = ledger.job(job_id)
    assert (job.status, job.counts.canceled, job.counts.pending) == (JobStatus.CANCELED, 300, 0)
    assert [ref.job_id for ref in take(ledger, 10**9).refs] == [other], "however many refs lie before it"
    assert set(outcomes(ledger, job_id)) == {ItemError.CANCELED}
    assert not cancel(ledger, job_id), "it was over"


def test_a_cancel_without_patience_goes_on_when_it_is_asked_again(ledger: Ledger) -> None:
    job_id = record(ledger, 300)
    assert cancel(ledger, job_id, patience_s=0)
    assert ledger.job(job_id).status is JobStatus.CANCELING
    assert leases.lease(ledger, BULK, CHILD, 0) is None, "nothing of it is leased any more all the same"
    assert cancel(ledger, job_id)
    assert ledger.job(job_id).status is JobStatus.CANCELED


def test_canceling_keeps_what_is_finished_and_lets_a_child_finish_what_it_holds(ledger: Ledger) -> None:
    seem_alive(ledger)
    job_id = record(ledger, 3)
    finish(ledger, take(ledger))
    held = take(ledger)
    assert cancel(ledger, job_id)
    job = ledger.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.canceled) == (JobStatus.CANCELING, 1, 1)
    assert job.status.terminal is False
    assert cancel(ledger, job_id), "a repetition changes nothing"
    assert finish(ledger, held) == 1
    job = ledger.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.canceled) == (JobStatus.CANCELED, 2, 1)
    assert outcomes(ledger, job_id) == [GOOD, GOOD, ItemError.CANCELED]


def test_a_child_is_told_when_all_it_holds_was_canceled(ledger: Ledger) -> None:
    seem_alive(ledger)
    canceled, other = record(ledger, 1), record(ledger, 1)
    held = take(ledger, 10**9)
    assert {ref.job_id for ref in held.refs} == {canceled, other}
    cancel(ledger, canceled)
    leases.renew(ledger, held)
    cancel(ledger, other)
    with pytest.raises(LeaseCanceledError):
        leases.renew(ledger, held)


def test_what_a_silent_child_holds_of_a_canceled_job_is_closed_by_the_reconciler(ledger: Ledger) -> None:
    seem_alive(ledger)
    job_id = record(ledger, 2)
    held = take(ledger)
    cancel(ledger, job_id)
    reconciler = Reconciler(ledger, silent, "worker")

    def over() -> bool:
        reconciler.tick(alive=[CHILD.pid])
        return ledger.job(job_id).status is JobStatus.CANCELED

    eventually(over, within_s=3)
    assert ledger.job(job_id).counts.canceled == 2
    assert finish(ledger, held) == 0, "too late"


def test_without_workers_nothing_is_waited_for(ledger: Ledger) -> None:
    job_id = record(ledger, 1)
    take(ledger)
    cancel(ledger, job_id)
    assert ledger.job(job_id).status is JobStatus.CANCELED


def test_a_job_that_was_done_before_the_cancel_took_hold_is_done(ledger: Ledger) -> None:
    seem_alive(ledger)
    job_id = record(ledger, 1)
    held = take(ledger)
    cancel(ledger, job_id)
    finish(ledger, held)
    assert ledger.job(job_id).status is JobStatus.SUCCEEDED


def test_a_deleted_job_leaves_nothing_but_a_tombstone(ledger: Ledger) -> None:
    job_id = record(ledger, 3)
    finish(ledger, take(ledger), ItemError.INFERENCE_FAILED)
    held = take(ledger)
    delete(ledger, job_id, "")
    with pytest.raises(JobDeletedError):
        ledger.job(job_id)
    assert [key.decode() for key in ledger.redis.scan_iter(f"*{job_id}*")] == [f"sentiq:tombstone:{job_id}"]
    assert ledger.redis.ttl(f"sentiq:tombstone:{job_id}") > 14 * 86_400
    with pytest.raises(LeaseLostError):
        leases.renew(ledger, held)
    assert finish(ledger, held) == 0
    assert leases.lease(ledger, BULK, CHILD, 10**9) is None
    for key in ledger.redis.zrange(leased(BULK), 0, -1):
        ledger.redis.zadd(leased(BULK), {key: 1})
    Reconciler(ledger, silent, "worker").tick(alive=[CHILD.pid])
    assert not ledger.redis.exists(pending(BULK), leased(BULK), "sentiq:open", job_key(job_id, "out"))


def test_only_texts_that_another_try_could_help_are_kept(ledger: Ledger) -> None:
    job_id = ledger.ids.mint()
    texts = ["好", "", "坏", "中"]
    ledger.create([chunk(job_id, 0, *texts)], BULK)
    held = take(ledger)
    ends: list[Outcome] = [GOOD, ItemError.EMPTY_TEXT, ItemError.INFERENCE_FAILED, ItemError.CANCELED]
    leases.finish(ledger, held, [ChunkResult(held.chunks[0], ends, 1)], MODEL)
    job = ledger.job(job_id)
    assert [item.text for item in kept_items(ledger, job)] == ["坏"]
    assert 0 < ledger.redis.pttl(job_key(job_id, "kept")) <= ledger.settings.result_ttl_s * 1000
    fine = record(ledger, 1)
    finish(ledger, take(ledger))
    with pytest.raises(NothingToRetryError):
        kept_items(ledger, ledger.job(fine))
    assert not ledger.redis.exists(job_key(fine, "kept"))


def grown(ledger: Ledger, chunks: int = 1) -> str:
    job_id = ledger.ids.mint()
    ledger.create([chunk(job_id, 0, "好")], BULK, silence_ms=60_000)
    for start in range(1, chunks):
        assert growing.append(ledger, [chunk(job_id, start, "好")], BULK, None)
    return job_id


def test_a_job_that_grows_is_not_over_before_it_is_sealed(ledger: Ledger) -> None:
    job_id = grown(ledger, 2)
    finish(ledger, take(ledger, 10**9))
    job = ledger.job(job_id)
    assert (job.status, job.growing, job.counts.total, job.counts.pending) == (
        *(JobStatus.RUNNING, True),
        *(2, 0),
    )
    assert growing.append(ledger, [chunk(job_id, 2, "好")], BULK, None)
    finish(ledger, take(ledger))
    assert growing.seal(ledger, job_id)
    job = ledger.job(job_id)
    assert (job.status, job.growing, job.counts.succeeded, job.error) == (
        *(JobStatus.SUCCEEDED, False),
        *(3, None),
    )
    assert not growing.append(ledger, [chunk(job_id, 3, "好")], BULK, None)
    assert not ledger.redis.exists("sentiq:uploads", "sentiq:open")


def test_a_sealed_job_is_over_with_its_last_chunk(ledger: Ledger) -> None:
    job_id = grown(ledger)
    growing.seal(ledger, job_id)
    assert ledger.job(job_id).status is JobStatus.QUEUED
    finish(ledger, take(ledger))
    assert ledger.job(job_id).status is JobStatus.SUCCEEDED


def test_an_upload_whose_reader_died_is_sealed_with_what_arrived_and_says_so(ledger: Ledger) -> None:
    job_id, alive = grown(ledger), grown(ledger)
    ledger.redis.zadd("sentiq:uploads", {job_id: 1})
    Reconciler(ledger, silent, "worker").tick(alive=[])
    assert ledger.job(alive).growing
    assert not growing.append(ledger, [chunk(job_id, 1, "好")], BULK, None)
    finish(ledger, take(ledger, 10**9))
    job = ledger.job(job_id)
    assert (job.status, job.counts.total, job.error) == (JobStatus.SUCCEEDED, 1, JobError.UPLOAD_INCOMPLETE)


def test_a_canceled_upload_grows_no_more(ledger: Ledger) -> None:
    job_id = grown(ledger)
    cancel(ledger, job_id)
    assert not growing.append(ledger, [chunk(job_id, 1, "好")], BULK, None)
    assert not growing.seal(ledger, job_id)
    job = ledger.job(job_id)
    assert (job.status, job.error) == (JobStatus.CANCELED, JobError.UPLOAD_INCOMPLETE)


def test_an_overdue_upload_is_closed(ledger: Ledger) -> None:
    job_id = grown(ledger)
    ledger.redis.hset(job_key(job_id), "deadline", 1)
    ledger.redis.zadd("sentiq:open", {job_id: 1})
    assert not growing.append(ledger, [chunk(job_id, 1, "好")], BULK, None)
    Reconciler(ledger, silent, "worker").tick(alive=[])
    job = ledger.job(job_id)
    assert (job.status, job.growing, job.error) == (JobStatus.TIMED_OUT, False, JobError.UPLOAD_INCOMPLETE)


def test_chunks_are_also_read_in_the_order_in_which_they_ended(ledger: Ledger) -> None:
    job_id = record(ledger, 3)
    one, two, three = (
        leases.lease(ledger, BULK, leases.Holder("worker", pid, siblings=1), 0) for pid in range(3)
    )
    for held in (three, one, two):
        assert held is not None
        finish(ledger, held)
    single = record(ledger, 1)
    finish(ledger, take(ledger))
    assert [items[0].index for items in ledger.ended(job_id, 0, 9)] == [2, 0, 1]
    assert [items[0].index for items in ledger.ended(job_id, 1, 1)] == [0]
    assert not ledger.ended(job_id, 3, 1)
    assert [items[0].index for items in ledger.ended(single, 0, 9)] == [0]
    assert not ledger.ended(single, 1, 9)
    assert not ledger.redis.exists(job_key(single, "order")), "a job of one chunk costs nothing more"
