"""One secret signs job ids in all processes, also after Redis lost its data."""

from __future__ import annotations

import time

import pytest

from tasks.errors import JobLostError, JobNotFoundError
from tasks.settings import Settings
from tasks.store.id_secret import data_lost
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import JobStatus
from tests.conftest import eventually
from tests.tasks.test_jobs import record


def known(store: JobStore, job_id: str) -> bool:
    try:
        return store.job(job_id).id == job_id
    except JobNotFoundError:
        return False


def test_a_secret_that_redis_lost_is_put_back_by_a_process_that_knows_it(
    settings: Settings,
) -> None:
    old = JobStore.connect(settings)
    lost = record(old, 1)
    assert not data_lost(old.redis)
    old.redis.flushdb()
    old._id_secret._read_at -= 3  # seconds ago
    with pytest.raises(JobLostError):
        old.job(lost)
    assert data_lost(old.redis)
    new = JobStore.connect(settings)
    with pytest.raises(JobLostError):
        new.job(lost)
    assert new.job(record(old, 1)).status is old.job(record(new, 1)).status is JobStatus.QUEUED


def test_processes_agree_at_once_on_ids_though_a_new_one_was_faster(settings: Settings) -> None:
    old = JobStore.connect(settings)
    record(old, 1)
    old.redis.flushdb()
    new = JobStore.connect(settings)
    made = record(new, 1)
    old._id_secret._read_at = time.monotonic()
    signed_as_before = record(old, 1)  # with the secret that nobody else knows yet
    assert old.job(signed_as_before).status is JobStatus.QUEUED
    eventually(lambda: known(new, signed_as_before))
    eventually(lambda: new.job(made).id == old.job(made).id)
    eventually(lambda: new.job(record(old, 1)).id)
    assert data_lost(new.redis)


def test_lost_jobs_are_known_to_a_new_process_that_made_a_secret_first(settings: Settings) -> None:
    olds = [JobStore.connect(settings) for _ in range(3)]
    lost = record(olds[0], 1)
    for old in olds:
        assert old.job(lost).status is JobStatus.QUEUED
    olds[0].redis.flushdb()
    new = JobStore.connect(settings)
    made = record(new, 1)
    for old in olds:
        old._id_secret._read_at -= 3  # seconds ago
        assert old.job(made).status is JobStatus.QUEUED
    new._id_secret._read_at -= 3
    for store in (new, *olds, JobStore.connect(settings)):
        assert store.job(made).status is JobStatus.QUEUED
        with pytest.raises(JobLostError):
            store.job(lost)


def test_secrets_survive_further_losses_and_are_not_ever_more(settings: Settings) -> None:
    old = JobStore.connect(settings)
    first = record(old, 1)
    for _ in range(12):
        old.redis.flushdb()
        record(JobStore.connect(settings), 1)
        old._id_secret._read_at -= 3
        old.ids.issue()
    with pytest.raises(JobNotFoundError):  # its secret is older than the nine that are kept
        old.job(first)
    latest = record(old, 1)
    old.redis.flushdb()
    record(JobStore.connect(settings), 1)
    old._id_secret._read_at -= 3
    with pytest.raises(JobLostError):
        old.job(latest)
    assert len(old.redis.get("sentiq:id_secret") or b"") <= 10 * 32


def test_a_given_secret_is_not_in_redis(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.redis_url
    monkeypatch.setenv("SENTIMENT_ID_SECRET", "given")
    store = JobStore.connect(Settings.read())
    assert store.job(record(store, 1)).status is JobStatus.QUEUED
    assert not store.redis.exists("sentiq:id_secret")
