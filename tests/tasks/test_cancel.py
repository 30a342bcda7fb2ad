from __future__ import annotations

import pytest

from tasks.errors import JobDeletedError, LeaseCanceledError, LeaseLostError, NothingToRetryError
from tasks.store import leases, uploads, workers
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.jobs import JobStore
from tasks.store.keys import OPEN_JOBS, job_key, leased_key, pending_key, waiting_key
from tasks.store.leases import Lease
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retryable_items
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError, Outcome
from tasks.vocabulary.jobs import JobError, JobStatus, Queue, QueueClass, Terms
from tasks.vocabulary.verdicts import Verdict
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
GOOD = rated(0.75, 5, 5)
FEED = Feed.begin("5eed", resumable=False)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def chunk(job_id: str, start: int, *texts: str) -> Chunk:
    return Chunk(job_id, start, [Item.accept(text, 99) for text in texts])


def record(store: JobStore, chunks: int, text: str = "十个字的文本十个字哦") -> str:
    """Create a job of chunks with one text each."""
    job_id = store.ids.issue()
    store.create(job_id, Terms(queue_class=BULK), [chunk(job_id, i, text) for i in range(chunks)])
    return job_id


def take(store: JobStore, budget: int = 0) -> Lease:
    held = leases.lease(store, CHILD, budget)
    assert held is not None
    return held


def finish(store: JobStore, held: Lease, outcome: Verdict | ItemError = GOOD) -> int:
    results = [ChunkResult(each.chunk, [outcome] * len(each.chunk.items), 1) for each in held.chunks]
    return leases.finish(store, held, results, MODEL)


def seem_alive(store: JobStore) -> None:
    workers.heartbeat(store, "host/1/start", children=1, ready=1, model={"id": "test"})


def test_what_waits_behind_many_chunks_that_were_deleted_is_leased_at_once(store: JobStore) -> None:
    """A child that found nothing would sleep, and nobody would wake it for what waits."""
    for _ in range(3):
        delete_job(store, record(store, 4000), "")
    behind = record(store, 1)
    assert take(store).refs[0].job_id == behind
    assert not store.redis.exists(waiting_key(QUEUE))


def outcomes(store: JobStore, job_id: str) -> list[object]:
    return [item.outcome for item in store.results(job_id, 0, 999).items]


def silent(model: str, count: int) -> None:
    """Wake nobody."""


def test_a_canceled_job_that_nobody_works_on_is_over_at_once_and_never_leased(store: JobStore) -> None:
    job_id, other = record(store, 300), record(store, 1)
    assert cancel_job(store, job_id)
    job = store.job(job_id)
    assert (job.status, job.counts.canceled, job.counts.pending) == (JobStatus.CANCELED, 300, 0)
    assert [ref.job_id for ref in take(store, 10**9).refs] == [other], "however many refs lie before it"
    assert set(outcomes(store, job_id)) == {ItemError.CANCELED}
    assert not cancel_job(store, job_id), "it was over"


def test_a_cancel_without_patience_goes_on_when_it_is_asked_again(store: JobStore) -> None:
    job_id = record(store, 300)
    assert cancel_job(store, job_id, patience_s=0)
    assert store.job(job_id).status is JobStatus.CANCELING
    assert leases.lease(store, CHILD, 0) is None, "nothing of it is leased any more all the same"
    assert cancel_job(store, job_id)
    assert store.job(job_id).status is JobStatus.CANCELED


def test_canceling_keeps_what_is_finished_and_lets_a_child_finish_what_it_holds(store: JobStore) -> None:
    seem_alive(store)
    job_id = record(store, 3)
    finish(store, take(store))
    held = take(store)
    assert cancel_job(store, job_id)
    job = store.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.canceled) == (JobStatus.CANCELING, 1, 1)
    assert job.status.terminal is False
    assert cancel_job(store, job_id), "a repetition changes nothing"
    assert finish(store, held) == 1
    job = store.job(job_id)
    assert (job.status, job.counts.succeeded, job.counts.canceled) == (JobStatus.CANCELED, 2, 1)
    assert outcomes(store, job_id) == [GOOD, GOOD, ItemError.CANCELED]


def test_a_child_is_told_when_all_it_holds_was_canceled(store: JobStore) -> None:
    seem_alive(store)
    canceled, other = record(store, 1), record(store, 1)
    held = take(store, 10**9)
    assert {ref.job_id for ref in held.refs} == {canceled, other}
    cancel_job(store, canceled)
    leases.renew(store, held)
    cancel_job(store, other)
    with pytest.raises(LeaseCanceledError):
        leases.renew(store, held)


def test_what_a_silent_child_holds_of_a_canceled_job_is_closed_by_the_reconciler(store: JobStore) -> None:
    seem_alive(store)
    job_id = record(store, 2)
    held = take(store)
    cancel_job(store, job_id)
    reconciler = Reconciler(store, silent, "worker", MODEL_NAME)

    def over() -> bool:
        reconciler.tick(alive=[CHILD.pid])
        return store.job(job_id).status is JobStatus.CANCELED

    eventually(over, within_s=3)
    assert store.job(job_id).counts.canceled == 2
    assert finish(store, held) == 0, "too late"


def test_without_workers_nothing_is_waited_for(store: JobStore) -> None:
    job_id = record(store, 1)
    take(store)
    cancel_job(store, job_id)
    assert store.job(job_id).status is JobStatus.CANCELED


def test_a_job_that_was_done_before_the_cancel_took_hold_is_done(store: JobStore) -> None:
    seem_alive(store)
    job_id = record(store, 1)
    held = take(store)
    cancel_job(store, job_id)
    finish(store, held)
    assert store.job(job_id).status is JobStatus.SUCCEEDED


def test_a_deleted_job_leaves_nothing_but_a_tombstone(store: JobStore) -> None:
    job_id = record(store, 3)
    finish(store, take(store), ItemError.INFERENCE_FAILED)
    held = take(store)
    delete_job(store, job_id, "")
    with pytest.raises(JobDeletedError):
        store.job(job_id)
    assert [key.decode() for key in store.redis.scan_iter(f"*{job_id}*")] == [f"sentiq:tombstone:{job_id}"]
    assert store.redis.ttl(f"sentiq:tombstone:{job_id}") > 14 * 86_400
    with pytest.raises(LeaseLostError):
        leases.renew(store, held)
    assert finish(store, held) == 0
    assert leases.lease(store, CHILD, 10**9) is None
    for key in store.redis.zrange(leased_key(QUEUE), 0, -1):
        store.redis.zadd(leased_key(QUEUE), {key: 1})
    Reconciler(store, silent, "worker", MODEL_NAME).tick(alive=[CHILD.pid])
    assert not store.redis.exists(
        pending_key(QUEUE), leased_key(QUEUE), OPEN_JOBS, job_key(job_id, "results")
    )


def test_only_texts_that_another_try_could_help_are_kept(store: JobStore) -> None:
    job_id = store.ids.issue()
    texts = ["好", "", "坏", "中"]
    store.create(job_id, Terms(queue_class=BULK), [chunk(job_id, 0, *texts)])
    held = take(store)
    ends: list[Outcome] = [GOOD, ItemError.EMPTY_TEXT, ItemError.INFERENCE_FAILED, ItemError.CANCELED]
    leases.finish(store, held, [ChunkResult(held.chunks[0].chunk, ends, 1)], MODEL)
    job = store.job(job_id)
    assert [item.text for item in retryable_items(store, job)] == ["坏"]
    assert 0 < store.redis.pttl(job_key(job_id, "retryable")) <= store.settings.result_ttl_s * 1000
    fine = record(store, 1)
    finish(store, take(store))
    with pytest.raises(NothingToRetryError):
        retryable_items(store, store.job(fine))
    assert not store.redis.exists(job_key(fine, "retryable"))


def grown(store: JobStore, chunks: int = 1) -> str:
    job_id = store.ids.issue()
    store.create(job_id, Terms(queue_class=BULK), [chunk(job_id, 0, "好")], feed=FEED)
    for start in range(1, chunks):
        assert uploads.append_chunks(store, [chunk(job_id, start, "好")], FEED)
    return job_id


def test_a_job_that_grows_is_not_over_before_it_is_sealed(store: JobStore) -> None:
    job_id = grown(store, 2)
    finish(store, take(store, 10**9))
    job = store.job(job_id)
    assert (job.status, job.uploading, job.counts.total, job.counts.pending) == (
        *(JobStatus.RUNNING, True),
        *(2, 0),
    )
    assert uploads.append_chunks(store, [chunk(job_id, 2, "好")], FEED)
    finish(store, take(store))
    assert uploads.close(store, job_id)
    job = store.job(job_id)
    assert (job.status, job.uploading, job.counts.succeeded, job.error) == (
        *(JobStatus.SUCCEEDED, False),
        *(3, None),
    )
    assert not uploads.append_chunks(store, [chunk(job_id, 3, "好")], FEED)
    assert not store.redis.exists("sentiq:uploads", OPEN_JOBS)


def test_a_sealed_job_is_over_with_its_last_chunk(store: JobStore) -> None:
    job_id = grown(store)
    uploads.close(store, job_id)
    assert store.job(job_id).status is JobStatus.QUEUED
    finish(store, take(store))
    assert store.job(job_id).status is JobStatus.SUCCEEDED


def test_an_upload_whose_reader_died_is_sealed_with_what_arrived_and_says_so(store: JobStore) -> None:
    job_id, alive = grown(store), grown(store)
    store.redis.zadd("sentiq:uploads", {job_id: 1})
    Reconciler(store, silent, "worker", MODEL_NAME).tick(alive=[])
    assert store.job(alive).uploading
    assert not uploads.append_chunks(store, [chunk(job_id, 1, "好")], FEED)
    finish(store, take(store, 10**9))
    job = store.job(job_id)
    assert (job.status, job.counts.total, job.error) == (JobStatus.SUCCEEDED, 1, JobError.UPLOAD_INCOMPLETE)


def test_a_canceled_upload_grows_no_more(store: JobStore) -> None:
    job_id = grown(store)
    cancel_job(store, job_id)
    assert not uploads.append_chunks(store, [chunk(job_id, 1, "好")], FEED)
    assert not uploads.close(store, job_id)
    job = store.job(job_id)
    assert (job.status, job.error) == (JobStatus.CANCELED, JobError.UPLOAD_INCOMPLETE)


def test_an_overdue_upload_is_closed(store: JobStore) -> None:
    job_id = grown(store)
    store.redis.hset(job_key(job_id), "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    assert not uploads.append_chunks(store, [chunk(job_id, 1, "好")], FEED)
    Reconciler(store, silent, "worker", MODEL_NAME).tick(alive=[])
    job = store.job(job_id)
    assert (job.status, job.uploading, job.error) == (JobStatus.TIMED_OUT, False, JobError.UPLOAD_INCOMPLETE)


def test_chunks_are_also_read_in_the_order_in_which_they_ended(store: JobStore) -> None:
    job_id = record(store, 3)
    one, two, three = (
        leases.lease(store, leases.Holder("worker", pid, siblings=1, model=MODEL_NAME), 0) for pid in range(3)
    )
    for held in (three, one, two):
        assert held is not None
        finish(store, held)
    single = record(store, 1)
    finish(store, take(store))
    assert [items[0].index for items in store.results_by_completion(job_id, 0, 9)] == [2, 0, 1]
    assert [items[0].index for items in store.results_by_completion(job_id, 1, 1)] == [0]
    assert not store.results_by_completion(job_id, 3, 1)
    assert [items[0].index for items in store.results_by_completion(single, 0, 9)] == [0]
    assert not store.results_by_completion(single, 1, 9)
    assert not store.redis.exists(job_key(single, "completed")), "a job of one chunk costs nothing more"
