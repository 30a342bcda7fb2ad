"""What the parent of a worker writes about its model, before any child serves it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery.worker import state

from tasks.settings import Settings
from tasks.store import models
from tasks.store.jobs import JobStore
from tasks.store.keys import LABELS
from tasks.store.workers import live_workers
from tests.verdicts import THREE
from worker.packs.pack import load_pack
from worker.process.fork_state import LoadFailures, ReadyChildren
from worker.process.parent import Parent

WORKER = SimpleNamespace(pool=SimpleNamespace(info={"processes": []}))


@pytest.fixture(autouse=True)
def _going_on() -> Iterator[None]:
    yield
    state.should_terminate = None


@pytest.fixture
def failures() -> LoadFailures:
    return LoadFailures()


@pytest.fixture
def parent(settings: Settings, failures: LoadFailures) -> Parent:
    return Parent(settings, failures, ReadyChildren(1))


def test_a_worker_registers_its_model_with_labels_for_its_results(store: JobStore, parent: Parent) -> None:
    name = parent.start()
    parent.tick(WORKER)
    pack = load_pack(store.settings.pack)
    assert store.labels.of(pack.model) == pack.labels
    assert models.registered(store)[name].max_tokens == pack.max_tokens
    assert [worker.serves for worker in live_workers(store)] == [name]
    assert state.should_terminate is None


@pytest.mark.parametrize("retired", [False, True])
def test_a_worker_whose_labels_are_refused_changes_nothing_of_the_model(
    store: JobStore, parent: Parent, failures: LoadFailures, *, retired: bool
) -> None:
    name = parent.start()
    store.redis.hset(LABELS, load_pack(store.settings.pack).model, THREE.encode())
    models.register(store, name, {"id": "as it was"})
    if retired:
        models.retire(store, name)
    before = models.registered(store)
    parent.tick(WORKER)
    assert state.should_terminate == os.EX_CONFIG
    assert "had other labels" in failures.reason
    assert models.registered(store) == before
    assert models.register(store, name, {}) is not retired
    assert not live_workers(store)
