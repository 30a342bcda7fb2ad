"""Several models on one store: the registry, and queues that know nothing of one another."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tasks.errors import ModelRequiredError, NoModelError, UnknownModelError
from tasks.store import cancel, models, uploads
from tasks.store.backlog import read_backlogs
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    MODELS,
    OPEN_JOBS,
    RECONCILER,
    RETIRED,
    UPLOADS,
    job_key,
    pending_key,
    waiting_key,
)
from tasks.store.leases import Holder, Lease, finish, lease
from tasks.store.models import Models
from tasks.store.reconciler import Reconciler
from tasks.store.workers import forget, heartbeat
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item
from tasks.vocabulary.job_format import FORMAT
from tasks.vocabulary.jobs import Queue, QueueClass, Terms
from tasks.vocabulary.model_names import is_name, name_of, wakeup_queue
from tests.conftest import eventually
from tests.ready_children import report_ready
from tests.verdicts import rated

BULK, INTERACTIVE = QueueClass.BULK, QueueClass.INTERACTIVE
FEED = Feed.begin("5eed", resumable=False)
PACK = {"id": "damo/one", "max_tokens": 128}
A, B = (Holder(f"worker of {name}", 1, siblings=1, model=name) for name in "ab")


def record(
    store: JobStore, model: str, queue_class: QueueClass = BULK, owner: str = "", chunks: int = 1
) -> str:
    job_id = store.ids.issue(owner)
    made = [Chunk(job_id, i, [Item.accept("十个字的文本十个字哦", 99)]) for i in range(chunks)]
    store.create(job_id, Terms(model=model, queue_class=queue_class, owner=owner), made)
    then = store.now_ms()
    eventually(lambda: store.now_ms() > then + chunks)  # the next job is later than all of it
    return job_id


def done(store: JobStore, held: Lease) -> int:
    results = [ChunkResult(each.chunk, [rated(0.75, 5, 5)], 1) for each in held.chunks]
    return finish(store, held, results, {"id": "x", "revision": "1", "engine": "none"})


def taken(store: JobStore, holder: Holder, budget: int = 10**9) -> list[tuple[str, int]]:
    """Lease, finish what was leased, and return the chunks."""
    held = lease(store, holder, budget)
    assert held is None or done(store, held) == len(held.refs)
    return [(ref.job_id, ref.start) for ref in held.refs] if held else []


def test_a_child_leases_only_what_waits_for_its_model(store: JobStore) -> None:
    first, second = record(store, "a", chunks=2), record(store, "b")
    assert taken(store, B) == [(second, 0)]
    assert taken(store, B) == []
    assert taken(store, A) == [(first, 0), (first, 1)]


def test_interactive_chunks_come_first_whatever_woke_the_child(store: JobStore) -> None:
    bulk, small = record(store, "a"), record(store, "a", INTERACTIVE)
    held = lease(store, A, 10**9)
    assert held is not None
    assert (held.queue, [ref.job_id for ref in held.refs]) == (Queue("a", INTERACTIVE), [small])
    again = lease(store, A, 10**9)
    assert again == held, "the answer was lost: the child asks again before it takes more"
    done(store, held)
    assert taken(store, A) == [(bulk, 0)]


def test_owners_take_turns_and_share_a_lease(store: JobStore) -> None:
    anna, ben = record(store, "a", owner="anna", chunks=3), record(store, "a", owner="ben")
    late = record(store, "a", owner="anna")
    assert taken(store, A, 20) == [(anna, 0), (anna, 1)]
    assert taken(store, A) == [(ben, 0), (anna, 2), (late, 0)], "one lease mixes owners"
    assert not store.redis.keys("sentiq:pending:*")
    assert not store.redis.exists(waiting_key(Queue("a", BULK)))


def test_an_owner_whose_jobs_are_canceled_holds_nobody_up(store: JobStore) -> None:
    canceled, ben = record(store, "a", owner="anna", chunks=300), record(store, "a", owner="ben")
    assert cancel.cancel_job(store, canceled)
    assert taken(store, A) == [(ben, 0)]
    assert not store.redis.exists(pending_key(Queue("a", BULK), "anna"), waiting_key(Queue("a", BULK)))


def test_chunks_of_many_owners_are_reached_behind_those_that_a_child_cannot_read(store: JobStore) -> None:
    for number in range(140):
        job_id = store.ids.issue(f"owner {number}")
        terms = Terms(model="a", queue_class=BULK, owner=f"owner {number}")
        store.create(job_id, terms, [Chunk(job_id, 0, [Item.accept("好", 9)])])
        store.redis.hset(f"sentiq:job:{job_id}", "format", FORMAT + 1)
    readable = record(store, "a", owner="last")
    assert taken(store, A) == [(readable, 0)]
    assert taken(store, A) == []
    held = lease(store, A, 10**9, formats=(FORMAT, FORMAT + 1))
    assert held is not None
    assert len(held.refs) == 128, "a lease looks at so many"


def test_each_queue_has_its_own_backlog(store: JobStore) -> None:
    record(store, "a", chunks=3)
    record(store, "b", INTERACTIVE)
    backlogs = read_backlogs(store, ["a", "b"])
    assert {str(queue): backlog.items for queue, backlog in backlogs.items()} == {
        "a:interactive": 0,
        "a:bulk": 3,
        "b:interactive": 1,
        "b:bulk": 0,
    }
    assert not taken(store, Holder("worker", 1, siblings=1, model="c"))


def test_a_reconciler_recovers_the_models_of_others_too(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[tuple[str, int]] = []
    models.register(store, "b", PACK)
    for model in "ab":
        record(store, model, INTERACTIVE)
        record(store, model, owner="anna", chunks=2)
    now = store.now_ms()
    monkeypatch.setattr(store, "now_ms", lambda: now + 2000)
    for model in "ab":
        report_ready(store, model)
    Reconciler(store, lambda *wakeups: published.append(wakeups), A.worker, "a").tick(alive=[])
    assert published == [("a", 3), ("b", 3)]


@pytest.fixture
def known(store_with: Callable[..., JobStore]) -> Callable[..., Models]:
    """Return a function that reads a registry of these models anew."""

    def read(*names: str, default: str = "") -> Models:
        store = store_with(default_model=default)
        for name in names:
            models.register(store, name, PACK)
        return Models(store)

    return read


def test_the_only_model_is_the_default_and_of_several_one_must_be_named(known: Callable[..., Models]) -> None:
    with pytest.raises(NoModelError):
        known().resolve("")
    assert known("a").resolve("") == "a"
    two = known("b")
    with pytest.raises(ModelRequiredError, match=r"name one of them: a, b\."):
        two.resolve("")
    assert two.resolve("b") == "b"
    with pytest.raises(UnknownModelError, match=r"no model 'c' takes jobs; known: a, b\."):
        two.resolve("c")
    assert known(default="b").resolve("") == "b"
    assert known(default="later").resolve("") == "later", "jobs wait for its first worker"


def test_a_model_that_was_registered_a_moment_ago_is_found(known: Callable[..., Models]) -> None:
    seen = known("a")
    assert seen.resolve("a") == "a"
    known("b")
    assert seen.resolve("b") == "b"


def test_the_registry_outlives_redis_in_the_programs_that_know_it(known: Callable[..., Models]) -> None:
    seen = known("a")
    assert seen.resolve("") == "a"
    seen._store.redis.flushdb()
    seen._read_at -= 1
    assert seen.resolve("") == "a"


@pytest.mark.parametrize("default", ["", "a"])
def test_a_model_that_was_removed_is_forgotten_even_if_it_was_the_last(
    known: Callable[..., Models], default: str
) -> None:
    seen = known("a", default=default)
    assert (seen.resolve(""), seen.names) == ("a", ["a"])
    models.retire(seen._store, "a")
    seen._read_at -= 1
    assert (dict(seen.all()), seen.names) == ({}, [])
    with pytest.raises(UnknownModelError if default else NoModelError):
        seen.resolve("")
    with pytest.raises(UnknownModelError, match=r"no model 'a' takes jobs; known: none\."):
        seen.resolve("a")
    with pytest.raises(UnknownModelError, match=r"no model 'a' takes jobs\.$"):
        record(seen._store, "a")
    assert known("a", "b", default=default).resolve("b") == "b"


def test_texts_are_priced_by_the_row_of_their_model(known: Callable[..., Models]) -> None:
    seen = known("a")
    assert (seen.max_tokens("a"), seen.max_tokens("unknown")) == (128, 512)


def test_a_worker_that_starts_describes_its_pack_anew(store: JobStore) -> None:
    models.register(store, "a", PACK, starting=True)
    models.register(store, "a", {"max_tokens": 1})
    assert models.registered(store)["a"].max_tokens == 128, "a heartbeat changes nothing"
    models.register(store, "a", {"max_tokens": 64}, starting=True)
    assert models.registered(store)["a"].max_tokens == 64


def test_the_registry_describes_a_pack_that_a_live_worker_serves(store: JobStore) -> None:
    old, new = ({"id": "x", "revision": revision, "input": "text"} for revision in ("1", "2"))
    for name, pack in (("old", old), ("new", new)):
        heartbeat(store, name, children=1, ready=1, model={"name": "a"} | pack)
        models.register(store, "a", pack, starting=True)
    heartbeat(store, "another model", children=1, ready=1, model={"name": "b"} | new)
    models.register(store, "a", old)
    assert models.registered(store)["a"].pack == new, "both are alive, and the new one started last"
    forget(store, "new")
    models.register(store, "a", old)
    assert models.registered(store)["a"].pack == old
    models.retire(store, "a")
    heartbeat(store, "old", children=1, ready=1, model={"name": "a"} | new)
    assert models.register(store, "a", new) is False
    assert not models.registered(store)


def test_a_retired_model_takes_no_jobs_drains_and_is_removed(store: JobStore) -> None:
    models.register(store, "a", PACK)
    job_id = record(store, "a", chunks=2)
    assert models.retire(store, "a") == (2, 0)
    with pytest.raises(UnknownModelError):
        record(store, "a")
    with pytest.raises(UnknownModelError):
        Models(store).resolve("a")
    assert models.register(store, "a", PACK, starting=True) is False, "a worker that starts helps to drain"
    assert len(taken(store, A)) == 2
    Reconciler(store, lambda *_: None, A.worker, "a").tick(alive=[])
    assert store.job(job_id).status.terminal
    assert not store.redis.exists(MODELS)
    assert not store.redis.keys("sentiq:backlog:a:*")
    assert models.register(store, "a", PACK) is False, "one that still runs does not bring it back"
    assert models.register(store, "a", PACK, starting=True) is True, "one that starts does"
    assert not store.redis.exists(RETIRED)
    record(store, "a")


def test_a_model_with_an_open_upload_is_not_removed(store: JobStore) -> None:
    models.register(store, "a", PACK)
    job_id = store.ids.issue()
    chunk = Chunk(job_id, 0, [Item.accept("好", 9)])
    store.create(job_id, Terms(model="a", queue_class=BULK), [chunk], feed=FEED)
    assert len(taken(store, A)) == 1
    assert models.retire(store, "a") == (0, 1)
    assert uploads.append_chunks(store, [Chunk(job_id, 1, [Item.accept("好", 9)])], FEED)
    uploads.close(store, job_id)
    assert models.retire(store, "a") == (1, 0)
    assert len(taken(store, A)) == 1
    assert models.retire(store, "a") == (0, 0)
    assert models.retire(store, "unknown") is None
    assert not store.redis.exists(UPLOADS)


def overdue(store: JobStore, job_id: str) -> None:
    store.redis.hset(job_key(job_id), "deadline", 1)
    store.redis.zadd(OPEN_JOBS, {job_id: 1})
    Reconciler(store, lambda *_: None, "worker of b", "b").tick(alive=[1])
    store.redis.delete(RECONCILER)


def delete_leased(store: JobStore, job_id: str) -> None:
    assert lease(store, A, 0)
    cancel.delete_job(store, job_id, "anna")


ENDS: dict[str, Callable[[JobStore, str], object]] = {
    "scored": lambda store, _: taken(store, A),
    "canceled": cancel.cancel_job,
    "deleted": lambda store, job_id: cancel.delete_job(store, job_id, "anna"),
    "deleted while leased": delete_leased,
    "overdue": overdue,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_nothing_stays_for_ever_of_a_model_that_is_removed(
    store: JobStore, end: Callable[[JobStore, str], object]
) -> None:
    models.register(store, "a", PACK)
    job_id = record(store, "a", owner="anna", chunks=3)
    store.redis.lpush(wakeup_queue("a"), *"123")
    end(store, job_id)
    assert models.retire(store, "a") == (0, 0)
    cancel.delete_job(store, job_id, "anna")
    keys = [key.decode() for key in store.redis.scan_iter() if store.redis.ttl(key) < 0]
    assert not [key for key in keys if "a" in re.split("[.:]", key)]


def test_without_workers_what_has_ended_leaves_the_queues_of_a_model(
    store_with: Callable[..., JobStore],
) -> None:
    store = store_with(default_model="c")
    models.register(store, "b", PACK)
    queues = []
    for model in "abc":
        live, *ended = (record(store, model, owner=owner, chunks=2) for owner in ("anna", "ben", "cleo"))
        store.redis.lpush(wakeup_queue(model), *"123456")
        assert all(cancel.cancel_job(store, job_id) for job_id in ended)
        queues.append((Queue(model, BULK), live))
    heartbeat(store, A.worker, children=1, ready=1, model={"name": "a"})
    Reconciler(store, lambda *_: None, A.worker, "a").tick(alive=[1])
    for queue, live in queues:
        served = queue.model == "a"
        waiting = store.redis.zrange(waiting_key(queue), 0, -1)
        assert waiting == ([b"anna", b"ben", b"cleo"] if served else [b"anna"])
        assert store.redis.llen(wakeup_queue(queue.model)) == (6 if served else 2)
        cancel.delete_job(store, live, "anna")
    Reconciler(store, lambda *_: None, A.worker, "a").tick(alive=[1])
    for model in "bc":
        assert not store.redis.keys(f"sentiq:pending:{model}:*")
        assert not store.redis.exists(waiting_key(Queue(model, BULK)), wakeup_queue(model))


@pytest.mark.parametrize(
    ("pack_id", "name"),
    [
        ("sentiq-zh-small", "sentiq-zh-small"),
        ("damo/nlp_structbert_Emotion.v1", "damo-nlp_structbert_emotion.v1"),
        ("情感", "model"),
        ("x" * 99, "x" * 64),
    ],
)
def test_the_id_of_a_pack_becomes_a_name(pack_id: str, name: str) -> None:
    assert name_of(pack_id) == name
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "A", "a:b", "-a", "a/b", "a" * 65, "a\n"])
def test_what_no_queue_can_be_called_is_no_name(name: str) -> None:
    assert not is_name(name)
