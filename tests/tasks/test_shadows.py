"""Shadows in the job store: which items they have, and how they come, give way and go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.errors import JobDeletedError, ServiceFullError, UnknownModelError, UploadClosedError
from tasks.store import models, shadows
from tasks.store.cancel import cancel_job, delete_job
from tasks.store.counters import Counters
from tasks.store.jobs import JobStore
from tasks.store.keys import OWNERS, RETIRED, backlog_key, job_key
from tasks.store.retry import retry_terms
from tasks.vocabulary.chunks import Chunk
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Job, Queue, QueueClass, Terms
from tasks.vocabulary.options import OnLongText, Options, Probabilities
from tasks.vocabulary.shadows import is_drawn, sampled, shadow_terms
from tests.conftest import MODEL_NAME

OTHER = "other"
TERMS = Terms(queue_class=QueueClass.BULK, owner="anna", model=MODEL_NAME, compare_with=OTHER)
TEXT = Item.accept("十个字的文本十个字哦", 99)


def record(store: JobStore, terms: Terms = TERMS, items: int = 3) -> Job:
    job_id = store.ids.issue(terms.owner)
    return store.create(job_id, terms, [Chunk(job_id, 0, [TEXT] * items)])


def shadow_of(store: JobStore, job: Job, items: int = 2) -> Job:
    return record(store, shadow_terms(job.id, job.terms), items)


def test_a_sample_is_the_same_in_every_job_and_part_of_each_larger_one() -> None:
    drawn = {share: {i for i in range(50_000) if is_drawn(i, share)} for share in (0.001, 0.01, 0.5, 1.0)}
    assert drawn[0.001] < drawn[0.01] < drawn[0.5] < drawn[1.0] == set(range(50_000))
    for share, sample in drawn.items():
        assert len(sample) == pytest.approx(50_000 * share, abs=4 * (50_000 * share) ** 0.5)
    # Data that repeats itself is drawn evenly from each of its rows.
    assert all(450 < sum(i % 25 == row for i in drawn[0.5]) * 25 / 50 < 550 for row in range(25))
    assert {i for i in range(300) if is_drawn(i, 0.01)} == {131, 265, 276}, "also after an upgrade"


def test_a_sample_has_the_items_that_a_model_scores_with_their_places_and_ids() -> None:
    items = [TEXT, TEXT._replace(id="a"), Item("", 0, None, ItemError.EMPTY_TEXT)]
    pair = TEXT._replace(aspects=("口味",))
    chunks = [Chunk("job_x", 0, items), Chunk("job_x", 3, [pair, TEXT._replace(data=b"{}", group=4)])]
    found = [(item.source_index, item.id, item.data, item.group) for item in sampled(chunks, 1.0)]
    assert found == [(0, None, None, 0), (1, "a", None, 0), (4, None, None, 0)]


def test_a_shadow_asks_for_the_verdicts_alone_and_is_bulk() -> None:
    options = Options(OnLongText.WINDOW, sentences=True, explain=True, probabilities=Probabilities.NONE)
    given = replace(TERMS, options=options, deadline_s=5, result_ttl_s=70, keep_texts=True, summarize_by="x")
    found = shadow_terms("job_x", replace(given, queue_class=QueueClass.INTERACTIVE))
    assert found == Terms(
        options=Options(OnLongText.WINDOW, probabilities=Probabilities.NONE),
        queue_class=QueueClass.BULK,
        result_ttl_s=70,
        owner="anna",
        model=OTHER,
        shadow_of="job_x",
    )


def test_a_shadow_and_its_job_name_each_other_and_both_are_charged_to_the_owner(store: JobStore) -> None:
    job = record(store)
    assert store.redis.hget(OWNERS, "anna") == b"3"
    shadow = shadow_of(store, job)
    found = store.job(job.id, "anna")
    assert (found.shadow, found.shadow_error, found.terms.compare_with) == (shadow.id, None, OTHER)
    assert found.counts == job.counts
    assert shadows.find(store, found) == store.job(shadow.id, "anna")
    assert store.job(shadow.id, "anna").terms.shadow_of == job.id
    assert str(shadow.queue) == f"{OTHER}:bulk"
    assert store.redis.hget(OWNERS, "anna") == b"5"


@pytest.mark.parametrize("end", [cancel_job, lambda store, job_id: delete_job(store, job_id, "anna")])
def test_a_job_that_is_gone_gets_no_shadow(store: JobStore, end: Callable[[JobStore, str], object]) -> None:
    job = record(store)
    end(store, job.id)
    with pytest.raises(UploadClosedError):
        shadow_of(store, job)
    assert store.redis.hget(job_key(job.id), "shadow") is None
    assert not store.redis.exists(backlog_key(Queue(OTHER, QueueClass.BULK)))


def test_a_deleted_job_takes_its_shadow_with_it_at_once(store: JobStore) -> None:
    job = record(store)
    shadow = shadow_of(store, job)
    delete_job(store, job.id, "anna")
    for each in (job, shadow):
        with pytest.raises(JobDeletedError):
            store.job(each.id, "anna")
        assert not list(store.redis.scan_iter(f"*{each.id}:*"))
    assert not store.redis.exists(OWNERS)
    assert store.redis.hget(backlog_key(shadow.queue), "items") == b"0"


def test_a_deleted_shadow_leaves_its_job(store: JobStore) -> None:
    job = record(store)
    shadow = shadow_of(store, job)
    delete_job(store, shadow.id, "anna")
    found = store.job(job.id, "anna")
    assert (found.shadow, found.counts.pending) == (shadow.id, 3)
    assert isinstance(shadows.find(store, found), JobDeletedError)


def drains(store: JobStore, items_per_s: float, items: int) -> None:
    """Set the drain rate and the backlog of the other model's bulk queue."""
    now = store.now_ms()
    fields = {"items": items, "cost": items, "finished_at": now, "learned_at": now}
    rate = {"drained_items": items_per_s * 10, "drained_cost": 0, "drained_s": 10}
    store.redis.hset(backlog_key(Queue(OTHER, QueueClass.BULK)), mapping=fields | rate)


def test_a_shadow_gives_way_before_other_jobs_are_refused(store: JobStore) -> None:
    """The target wait of bulk jobs is an hour: 3,600 items at one a second."""
    job, plain = record(store), replace(TERMS, model=OTHER, compare_with="")
    drains(store, 1, 1_700)
    shadow_of(store, job)
    drains(store, 1, 1_900)
    with pytest.raises(ServiceFullError):
        shadow_of(store, job)
    record(store, plain)
    counted = Counters.read(store)
    assert dict(counted.labels("refused")) == {"shadow_dropped": 1}
    drains(store, 1, 5_000)
    with pytest.raises(ServiceFullError):
        shadow_of(store, job)
    assert not list(store.redis.scan_iter("sentiq:reservation:*")), "nobody comes back for a shadow"
    with pytest.raises(ServiceFullError):
        record(store, plain)
    assert list(store.redis.scan_iter("sentiq:reservation:*"))


def test_a_model_that_was_retired_meanwhile_scores_no_shadow(store: JobStore) -> None:
    models.register(store, OTHER, {})
    job = record(store)
    store.redis.sadd(RETIRED, OTHER)
    with pytest.raises(UnknownModelError):
        shadow_of(store, job)


def test_why_there_is_no_shadow_is_noted_on_a_job_that_is_there(store: JobStore) -> None:
    job = record(store)
    shadows.drop(store, job.id, "service_full")
    found = store.job(job.id, "anna")
    assert (found.shadow, found.shadow_error) == (None, "service_full")
    delete_job(store, job.id, "anna")
    shadows.drop(store, job.id, "service_full")
    assert not store.redis.exists(job_key(job.id))


def test_a_retry_is_neither_compared_nor_a_shadow(store: JobStore) -> None:
    job = record(store)
    for each in (job, shadow_of(store, job)):
        terms = retry_terms(store.job(each.id, "anna"))
        assert (terms.compare_with, terms.shadow_of, terms.retry_of) == ("", None, each.id)
