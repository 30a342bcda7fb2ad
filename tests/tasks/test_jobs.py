from __future__ import annotations

import time
from dataclasses import replace

import pytest
from ulid import ULID

from local.ports import free_port
from tasks.errors import (
    JobDeletedError,
    JobExpiredError,
    JobLostError,
    JobNotFoundError,
    LeaseLostError,
    StoreUnavailableError,
    UnknownFormatError,
)
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.cancel import delete_job
from tasks.store.ids import signed
from tasks.store.jobs import JobStore
from tasks.store.keys import OPEN_JOBS, UPLOADS, job_key, leased_key, leases_key, pending_key
from tasks.store.leases import Lease
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item, ItemStatus
from tasks.vocabulary.job_format import FORMAT, READABLE
from tasks.vocabulary.jobs import JobStatus, Queue, QueueClass, Terms
from tasks.vocabulary.options import PLAIN, OnLongText, Options
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
GOOD = rated(0.75, 5, 5)
MODEL = {"id": "test", "revision": "1", "engine": "none"}


def record(store: JobStore, *sizes: int) -> str:
    """Create a job with a chunk of each size, all texts ten characters long."""
    job_id, start, chunks = store.ids.issue(), 0, []
    for size in sizes:
        chunks.append(Chunk(job_id, start, [Item.accept("十个字的文本十个字哦", 99)] * size))
        start += size
    store.create(job_id, Terms(queue_class=BULK), chunks)
    return job_id


def take(store: JobStore, budget: int = 10**9, child: leases.Holder = CHILD) -> Lease:
    held = leases.lease(store, child, budget)
    assert held is not None
    return held


def verdicts(held: Lease) -> list[ChunkResult]:
    return [
        ChunkResult(leased.chunk, [GOOD] * len(leased.chunk.items), leased.attempts) for leased in held.chunks
    ]


def test_a_recorded_job_is_queued(store: JobStore) -> None:
    job = store.job(record(store, 3, 2))
    assert (job.status, job.counts.total, job.counts.pending) == (JobStatus.QUEUED, 5, 5)
    assert job.deadline_ms - job.created_ms == 24 * 3600 * 1000


def test_a_job_and_what_is_leased_of_it_know_their_options(store: JobStore) -> None:
    wanted = Options(OnLongText.WINDOW, explain=True)
    ids = {}
    for options in (PLAIN, wanted):
        job_id = store.ids.issue()
        recorded = store.create(
            job_id, Terms(options, BULK), [Chunk(job_id, 0, [Item.accept("好", 9)], options)]
        )
        assert recorded.options == store.job(job_id).options == options
        ids[job_id] = options
    assert {leased.chunk.job_id: leased.chunk.options for leased in take(store).chunks} == ids
    plain = next(job_id for job_id, options in ids.items() if options == PLAIN)
    assert not store.redis.hexists(job_key(plain), "options"), "plain jobs cost nothing more"


def test_recording_twice_is_harmless(store: JobStore) -> None:
    job_id = store.ids.issue()
    chunks = [Chunk(job_id, 0, [Item.accept("好", 9)])]
    store.create(job_id, Terms(queue_class=BULK), chunks)
    leases.finish(store, held := take(store), verdicts(held), MODEL)
    store.create(job_id, Terms(queue_class=BULK), chunks)
    assert store.job(job_id).status is JobStatus.SUCCEEDED
    assert leases.lease(store, CHILD, 1) is None


def test_a_job_runs_from_its_first_lease_and_succeeds_with_its_last_chunk(store: JobStore) -> None:
    job_id = record(store, 2, 2)
    first = take(store, budget=20)
    assert store.job(job_id).status is JobStatus.RUNNING
    assert leases.finish(store, first, verdicts(first), MODEL) == 1
    assert store.job(job_id).counts.succeeded == 2
    second = take(store)
    leases.finish(store, second, verdicts(second), MODEL)
    job = store.job(job_id)
    assert (job.status, job.counts.pending, job.model) == (JobStatus.SUCCEEDED, 0, MODEL)
    assert job.created_ms <= (job.started_ms or 0) <= (job.finished_ms or 0)


def test_a_lease_takes_the_oldest_chunks_within_its_budget_and_at_least_one(store: JobStore) -> None:
    older, then = record(store, *[1] * 12), store.now_ms()
    eventually(lambda: store.now_ms() > then + 1)
    newer = record(store, 1)
    others = [leases.Holder("worker", pid, siblings=1, model=MODEL_NAME) for pid in (2, 3, 4)]
    assert [ref.start for ref in take(store, budget=35).refs] == [0, 1, 2]
    assert [ref.start for ref in take(store, 0, others[0]).refs] == [3]
    rest = take(store, 80, others[1]).refs
    assert [(ref.job_id, ref.start) for ref in rest] == [(older, i) for i in range(4, 12)]
    assert [ref.job_id for ref in take(store, 10**9, others[2]).refs] == [newer]


@pytest.mark.parametrize(("siblings", "sizes"), [(1, [6, 3, 1, 1, 1]), (2, [3, 2, 1, 1, 1, 1, 1, 1, 1])])
def test_leases_get_smaller_towards_the_end_of_the_work(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, siblings: int, sizes: list[int]
) -> None:
    assert settings.redis_url
    monkeypatch.setenv("SENTIMENT_CHUNK_CHARS", "10")
    store = JobStore.connect(Settings.read())
    record(store, *[1] * 12)
    seen: list[int] = []
    while held := leases.lease(store, leases.Holder("worker", len(seen), siblings, model=MODEL_NAME), 10**9):
        seen.append(len(held.refs))
    assert seen == sizes


def test_small_chunks_are_taken_together_so_that_a_lost_message_delays_nobody(store: JobStore) -> None:
    for _ in range(5):
        record(store, 1)
    assert len(take(store).refs) == 5


def test_a_lease_whose_answer_got_lost_is_answered_when_its_child_asks_again(store: JobStore) -> None:
    record(store, 3)
    lost = take(store)
    again = take(store)
    assert again == lost, "a child holds one lease at a time"
    assert [(ref.start, ref.attempts) for ref in again.refs] == [(0, 1)], "nothing of it was started"
    assert leases.finish(store, again, verdicts(again), MODEL) == 1
    assert not store.redis.exists(leases_key("worker"))


def test_chunks_of_a_newer_format_are_left_for_others_and_hold_nobody_up(store: JobStore) -> None:
    newer = [record(store, *[1] * 150) for _ in range(2)]
    for job_id in newer:
        store.redis.hset(job_key(job_id), "format", FORMAT + 1)
    old = record(store, 1)
    assert [ref.job_id for ref in take(store).refs] == [old], "behind three hundred chunks of others"
    assert store.redis.zcard(pending_key(QUEUE)) == 300
    assert leases.lease(store, leases.Holder("worker", 2, siblings=1, model=MODEL_NAME), 10**9) is None
    new_child = leases.Holder("new worker", 3, siblings=1, model=MODEL_NAME)
    held = leases.lease(store, new_child, 10**9, formats=(FORMAT, FORMAT + 1))
    assert held is not None
    assert {ref.job_id for ref in held.refs} <= set(newer)
    with pytest.raises(UnknownFormatError):
        store.job(newer[0])
    for ref in store.redis.zrange(leased_key(QUEUE), 0, -1):
        store.redis.zadd(leased_key(QUEUE), {ref: 1})
    store.redis.zadd(OPEN_JOBS, {newer[0]: 1})
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert store.redis.hlen(job_key(newer[0], "chunks")) == 150, "an older reconciler leaves it alone"
    assert store.redis.zscore(OPEN_JOBS, newer[0])


def test_an_owner_of_whom_a_child_reads_nothing_holds_up_no_other(store: JobStore) -> None:
    """As after a step back to an earlier version: nobody is there who reads what the later one wrote."""
    chunks = 9000  # more than one lease looks at
    for owner, count in (("newer", chunks), ("older", 1)):
        job_id = store.ids.issue(owner)
        made = [Chunk(job_id, i, [Item.accept("好", 9)]) for i in range(count)]
        store.create(job_id, Terms(queue_class=BULK, owner=owner), made)
        if owner == "newer":
            store.redis.hset(job_key(job_id), "format", FORMAT + 1)
    assert [ref.job_id for ref in take(store).refs] == [job_id]


@pytest.mark.parametrize("version", [READABLE[0] - 1, FORMAT + 1])
@pytest.mark.parametrize("due", [OPEN_JOBS, UPLOADS])
def test_a_job_that_another_version_wrote_is_left_alone_until_it_expires(
    store: JobStore, version: int, due: str
) -> None:
    job_id = record(store, 1)
    key = job_key(job_id)
    leases.finish(store, held := take(store), verdicts(held), MODEL)
    # As a record looks that this version cannot even conclude.
    store.redis.hdel(key, "queue")
    store.redis.hset(key, mapping={"format": version, "class": "bulk", "uploading": "1", "deadline": 1})
    store.redis.zadd(due, {job_id: 1})
    before = store.redis.hgetall(key)
    for _ in range(2):
        Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
        assert store.redis.hgetall(key) == before
        with pytest.raises(UnknownFormatError):
            store.job(job_id)
    store.redis.delete(key)
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[1])
    assert not store.redis.exists(due)


@pytest.mark.parametrize("part", ["in", "out", "tokens"])
def test_the_parts_of_a_job_are_not_jobs(store: JobStore, part: str) -> None:
    job_id = record(store, 1)
    with pytest.raises(JobNotFoundError):
        store.job(f"{job_id}:{part}")


def test_of_two_writers_the_first_wins(store: JobStore) -> None:
    job_id = record(store, 1)
    held = take(store)
    assert leases.finish(store, held, verdicts(held), MODEL) == 1
    late = [ChunkResult(held.chunks[0].chunk, [rated(0.1, 1, 2)], 1)]
    assert leases.finish(store, held, late, MODEL) == 0
    assert store.job(job_id).counts.succeeded == 1
    assert [item.outcome for item in store.results(job_id, 0, 9).items] == [GOOD]


def test_a_token_that_is_not_the_last_is_fenced_off(store: JobStore) -> None:
    job_id = record(store, 1)
    held = take(store)
    stale = Lease(QUEUE, "worker", held.token - 1, held.chunks)
    assert leases.finish(store, stale, verdicts(stale), MODEL) == 0
    with pytest.raises(LeaseLostError):
        leases.renew(store, stale)
    leases.renew(store, held)
    assert store.job(job_id).counts.pending == 1


def test_results_are_read_in_order_up_to_the_first_gap(store: JobStore) -> None:
    job_id = record(store, 2, 2, 2)
    one, two, three = (
        take(store, 20, leases.Holder("worker", pid, siblings=1, model=MODEL_NAME)) for pid in (1, 2, 3)
    )
    leases.finish(store, three, verdicts(three), MODEL)
    assert not store.results(job_id, 0, 99).items
    leases.finish(store, one, verdicts(one), MODEL)
    assert [item.index for item in store.results(job_id, 0, 99).items] == [0, 1]
    leases.finish(store, two, verdicts(two), MODEL)
    page = store.results(job_id, 0, 99)
    assert [item.index for item in page.items] == [0, 1, 2, 3, 4, 5]
    assert {item.status for item in page.items} == {ItemStatus.SUCCEEDED}
    assert [page.chunk_of(index) for index in range(7)] == [0, 0, 2, 2, 4, 4, 6]
    assert [item.index for item in store.results(job_id, 2, 1).items] == [2, 3]


def test_texts_go_when_a_job_is_done_and_everything_ends_some_time(store: JobStore) -> None:
    job_id = record(store, 2)
    assert store.redis.pttl(job_key(job_id, "chunks")) > 0
    held = take(store)
    assert store.redis.pttl(job_key(job_id, "tokens")) > 0
    leases.finish(store, held, verdicts(held), MODEL)
    left = {key.decode() for key in store.redis.scan_iter(f"*{job_id}*")}
    assert left == {job_key(job_id, part) for part in ("", "results", "summary")}
    ttl_ms = store.settings.result_ttl_s * 1000
    assert all(ttl_ms - 10_000 < store.redis.pttl(key) <= ttl_ms for key in left)
    assert not store.redis.exists(pending_key(QUEUE), leased_key(QUEUE), OPEN_JOBS)


def minted(store: JobStore, age_s: float, owner: str = "") -> str:
    """An id as it was minted some time ago."""
    ulid = str(ULID.from_timestamp(time.time() - age_s))
    return signed(ulid, owner, store.ids._secrets[0])


def test_unknown_expired_deleted_and_lost_are_four_answers(store: JobStore) -> None:
    with pytest.raises(JobNotFoundError):
        store.job("job_never")
    deleted = record(store, 1)
    delete_job(store, deleted, "")
    with pytest.raises(JobDeletedError):
        store.job(deleted)
    ttl_s = store.settings.result_ttl_s
    for age_s, error in ((ttl_s + 60, JobExpiredError), (ttl_s - 600, JobLostError), (0, JobLostError)):
        with pytest.raises(error):
            store.job(minted(store, age_s))


def test_a_lost_job_is_counted_once(store: JobStore) -> None:
    lost = [record(store, 1), record(store, 1)]
    store.redis.delete(*map(job_key, lost))
    for job_id in [*lost, *lost]:
        with pytest.raises(JobLostError):
            store.job(job_id)
    assert store.redis.hget("sentiq:counters", "lost") == b"2"


@pytest.mark.parametrize(("ttl_s", "age_s", "error"), [
    (3600, 3700, JobExpiredError),
    (3600, 1800, JobLostError),
    (604_800, 400_000, JobLostError),
])  # fmt: skip
def test_a_job_with_its_own_ttl_expires_by_that(
    store: JobStore, ttl_s: int, age_s: int, error: type[Exception]
) -> None:
    job_id = minted(store, age_s)
    terms = Terms(result_ttl_s=ttl_s)
    store.create(job_id, replace(terms, queue_class=BULK), [Chunk(job_id, 0, [Item.accept("好", 9)])])
    store.redis.delete(job_key(job_id))
    with pytest.raises(error):
        store.job(job_id)


def test_another_owners_job_is_not_found(store: JobStore) -> None:
    job_id = store.ids.issue("anna")
    store.create(job_id, Terms(queue_class=BULK, owner="anna"), [Chunk(job_id, 0, [Item.accept("好", 9)])])
    assert store.job(job_id, "anna").terms.owner == "anna"
    for owner in ("", "bert"):
        with pytest.raises(JobNotFoundError):
            store.job(job_id, owner)


def test_ids_are_known_to_every_program_on_the_same_redis(store: JobStore, settings: Settings) -> None:
    assert JobStore.connect(settings).ids.issued_at_ms(store.ids.issue())


def test_no_redis_is_one_error_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    store = JobStore.connect(Settings.read())
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        store.job("job_x")
    with pytest.raises(StoreUnavailableError):
        store.check()
    assert time.monotonic() - started < 5
