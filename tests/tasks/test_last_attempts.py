"""A text may take its worker along, with what other children hold: none of that is given up for it."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.store.leases import Holder, Lease
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.verdicts import Verdict
from tests.conftest import MODEL_NAME
from tests.tasks.test_jobs import MODEL, record, verdicts

FIRST, SECOND = (Holder("worker", pid, siblings=2, model=MODEL_NAME) for pid in (1, 2))
ELSEWHERE = Holder("another", 3, siblings=1, model=MODEL_NAME)


def take(store: JobStore, child: Holder) -> int | None:
    """Lease for a child; return the index of the item that it got."""
    held = leases.lease(store, child, 1)
    return held.chunks[0].chunk.start if held else None


def die(store: JobStore, worker: str, alive: Collection[int] = ()) -> None:
    Reconciler(store, lambda *_: None, worker, MODEL_NAME)._release_orphans(worker, alive)


def finish(store: JobStore, held: Lease) -> None:
    assert leases.finish(store, held, verdicts(held), MODEL) == len(held.chunks)


@pytest.fixture
def tried(store: JobStore) -> JobStore:
    """A store with a job of two items, which were leased twice by children of a worker that died."""
    record(store, 2)
    assert take(store, FIRST) == 0
    die(store, "worker")
    assert (take(store, FIRST), take(store, SECOND)) == (0, 1), "the second attempts run side by side"
    die(store, "worker")
    return store


def test_two_last_attempts_are_never_in_one_worker(tried: JobStore) -> None:
    held = leases.lease(tried, FIRST, 1)
    assert held
    assert held.chunks[0].attempts == tried.settings.max_attempts
    assert take(tried, SECOND) is None
    assert take(tried, ELSEWHERE) == 1
    finish(tried, held)


def test_what_waits_is_leased_when_the_other_is_done(tried: JobStore) -> None:
    held = leases.lease(tried, FIRST, 1)
    assert held
    assert take(tried, SECOND) is None
    finish(tried, held)
    assert take(tried, SECOND) == 1


def test_what_was_never_tried_is_leased_beside_a_last_attempt(tried: JobStore) -> None:
    assert take(tried, FIRST) == 0
    job_id = record(tried, 1)
    held = leases.lease(tried, SECOND, 1)
    assert held
    assert held.chunks[0].chunk.job_id == job_id


def test_only_the_text_that_kills_its_worker_is_given_up(store: JobStore) -> None:
    """Item 0 kills its worker at once, and the other child always holds what it can get."""
    job_id = record(store, 2)
    assert take(store, FIRST) == 0
    for _ in range(store.settings.max_attempts):
        die(store, "worker")
        take(store, FIRST)
        take(store, SECOND)
    held = leases.lease(store, FIRST, 1)
    assert held
    finish(store, held)
    killer, neighbour = (item.outcome for item in store.results(job_id, 0, 9).items)
    assert killer is ItemError.WORKER_LOST
    assert isinstance(neighbour, Verdict)


def test_what_a_child_lost_keeps_nothing_waiting(tried: JobStore) -> None:
    """A child that is stopped for longer than its lease is in the list of its worker until it ends."""
    held = leases.lease(tried, FIRST, 1)
    assert held
    leases.return_chunk(tried, held, held.chunks[0], leases.ReturnReason.TIME)
    assert take(tried, SECOND) == 0
