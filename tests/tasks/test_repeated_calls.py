"""Each script is run, its answer is lost with the connection, and the client sends the call again.

Whatever a script counts or takes, the second run must change nothing, and its answer must be the first one's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from local.redis_server import redis_server
from tasks.errors import QuotaExceededError, ServiceFullError
from tasks.settings import Settings
from tasks.store import all_deliveries, cancel, deliveries, leases, models, pauses, shadows, uploads
from tasks.store.backlog import read_backlogs
from tasks.store.deliveries import AttemptOutcome
from tasks.store.idempotency import IdempotencyKey
from tasks.store.jobs import JobStore
from tasks.store.keys import (
    DEFERRED,
    OPEN_JOBS,
    UPLOADS,
    backlog_key,
    job_key,
    kept_until_key,
    ready_key,
    usage_key,
)
from tasks.store.reconciler import Reconciler
from tasks.store.retry import retryable_items
from tasks.store.scripts import LUA
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.feeds import Feed
from tasks.vocabulary.items import Item, ItemError
from tasks.vocabulary.jobs import Job, JobError, Queue, QueueClass, Terms
from tasks.vocabulary.webhooks import TEST_EVENT, DeliveryStatus, Event, Webhook
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

BULK = QueueClass.BULK
QUEUE = Queue(MODEL_NAME, BULK)
CHILD = leases.Holder("worker", 1, siblings=1, model=MODEL_NAME)
MODEL = {"id": "test", "revision": "1", "engine": "none"}
KEY = IdempotencyKey("anna", "k1")
FEED = Feed.begin("5eed", resumable=True)
# Both runs use ids of the same order, so that the sorted sets of both agree.
JOB, OTHER = "job_00000000000000000000000001AAAAAAAA", "job_00000000000000000000000002AAAAAAAA"


def chunk(job_id: str, start: int, texts: int = 2) -> Chunk:
    return Chunk(job_id, start, [Item.accept("十个字的文本十个字哦", 99, data=b'{"shop":8}')] * texts)


def record(store: JobStore, job_id: str = JOB, chunks: int = 2, **terms: Any) -> Job:
    given = Terms(queue_class=BULK, owner="anna", **terms)
    return store.create(job_id, given, [chunk(job_id, 2 * i) for i in range(chunks)])


def begin_upload(store: JobStore) -> int | None:
    terms = Terms(queue_class=BULK, owner="anna")
    return store.create(JOB, terms, [chunk(JOB, 0)], key=KEY, feed=FEED).place


def leave_upload(store: JobStore) -> Any:
    return store.run("leave_upload", {"job_id": JOB, "writer": FEED.writer})


def given_up(store: JobStore) -> all_deliveries.OwnedDelivery:
    """Return the delivery of a job of which no attempt succeeded."""
    finish_with_webhook(store)
    (due,) = due_deliveries(store)
    deliveries.record_attempt(store, due, AttemptOutcome(status_code=500), DeliveryStatus.EXHAUSTED)
    return all_deliveries.delivery_of(store, due.job_id)


def take(store: JobStore, budget: int = 10**9) -> leases.Lease:
    held = leases.lease(store, CHILD, budget)
    assert held is not None
    return held


def seen(held: leases.Lease) -> Any:
    return held.token, sorted((str(each.ref), each.chunk) for each in held.chunks)


def finish(store: JobStore, held: leases.Lease) -> int:
    good = rated(0.75, 5, 5)
    results = [ChunkResult(each.chunk, [good] * len(each.chunk.items), 1) for each in held.chunks]
    return leases.finish(store, held, results, MODEL, {"forward_s:sum": 3})


def finish_with_webhook(store: JobStore) -> int:
    record(store, webhook=Webhook("http://example.com/", "example.com", tuple(Event)))
    return finish(store, take(store))


def due_deliveries(store: JobStore) -> list[deliveries.Delivery]:
    return deliveries.lease_due(store, deliveries.Room(9, 256, 16, {}))


FOLDS = [("1 test items", "1970-01 test items"), ("2 test items", "1970-01 test items")]


def old_usage(store: JobStore) -> None:
    for day, _ in FOLDS:
        store.redis.hset(usage_key("anna"), day, 3)


def expired(store: JobStore) -> None:
    record(store)
    store.redis.delete(job_key(JOB), job_key(JOB, "chunks"))
    store.redis.zadd(kept_until_key("anna"), {JOB: 1})


def refusal(call: Callable[[], object]) -> tuple[type[Exception], int]:
    with pytest.raises((QuotaExceededError, ServiceFullError)) as caught:
        call()
    return type(caught.value), round(caught.value.retry_after_s)


def requeued(store: JobStore) -> list[int]:
    """Return how many wake-ups the reconciler publishes for the chunks of a dead child."""
    published: list[int] = []
    Reconciler(store, lambda _, count: published.append(count), "worker", MODEL_NAME).tick(alive=[])
    return published


def overdue(store: JobStore) -> int:
    store.redis.hset(job_key(JOB), "deadline", 1)
    return int(store.redis.zadd(OPEN_JOBS, {JOB: 1}))


def pause(store: JobStore, **given: Any) -> Any:
    given = {"target": "owner:anna", "queues": [str(QUEUE)], "owner": "anna"} | given
    return store.run("pause", given)[1:], pauses.settle(store, 9)


def lost_chunks(store: JobStore) -> None:
    record(store)
    overdue(store)
    store.redis.delete(job_key(JOB, "chunks"))


Setup = Callable[[JobStore], Any]
# Of each script: its name, how the store comes to be, and the call whose answer is compared.
CASES: list[tuple[str, Setup, Callable[[JobStore, Any], Any]]] = [
    (
        "append_chunks",
        begin_upload,
        lambda s, _: uploads.append_chunks(s, [chunk(JOB, 2)], FEED, key=KEY),
    ),
    ("cancel_job", record, lambda s, _: cancel.cancel_job(s, JOB)),
    (
        "cancel_job",  # whose cancel finishes it: all of its items are done, but more might have come
        lambda s: (begin_upload(s), finish(s, take(s))),
        lambda s, _: cancel.cancel_job(s, JOB),
    ),
    ("close_upload", begin_upload, lambda s, _: uploads.close(s, JOB, replace(KEY, body="hash"))),
    ("close_upload", begin_upload, lambda s, _: uploads.close(s, JOB, KEY, JobError.UPLOAD_INCOMPLETE)),
    (
        "close_upload",
        lambda s: (begin_upload(s), s.redis.zadd(UPLOADS, {JOB: 1})),
        lambda s, _: uploads.close_idle(s, JOB),
    ),
    (
        "close_overdue",
        lost_chunks,
        lambda s, _: s.run(
            "close_overdue", {"job_id": JOB, "status": "timed_out", "code": "deadline_exceeded"}
        ),
    ),
    ("complete_chunk", lambda s: (record(s), take(s))[1], finish),
    ("complete_chunk", lambda s: (record(s, chunks=3), take(s, 0))[1], finish),
    (
        "complete_chunk",
        lambda s: (record(s, chunks=1), take(s))[1],
        lambda s, held: leases.complete_chunk(
            s,
            held,
            held.refs[0],
            ChunkResult.given_up(held.chunks[0].chunk, ItemError.WORKER_LOST, 3),
            "dead",
        ),
    ),
    (
        "count_wakeups",
        lambda s: s.redis.set(ready_key(MODEL_NAME), 3),
        lambda s, _: s.run("count_wakeups", {"model": MODEL_NAME, "chunks": 2, "name": "w"}),
    ),
    (
        "count_wakeups",  # of a child that leaves
        lambda s: (record(s), take(s, 0)),
        lambda s, _: s.run(
            "count_wakeups", {"model": MODEL_NAME, "chunks": 1, "name": "w", "leaving": "worker 1"}
        ),
    ),
    ("create_job", lambda _: None, lambda s, _: record(s, metadata={"a": "b"}).place),
    ("create_job", lambda _: None, lambda s, _: begin_upload(s)),
    (
        "create_job",  # refused, and its room is reserved for at once
        lambda s: (
            record(s),
            s.redis.hset(
                backlog_key(QUEUE),
                mapping={"drained_s": 1, "drained_items": 0.001, "finished_at": s.now_ms()},
            ),
        ),
        lambda s, _: refusal(lambda: record(s, OTHER)),
    ),
    (
        "create_job",
        lambda s: s.redis.hset("sentiq:owners", "anna", 10**9),
        lambda s, _: refusal(lambda: record(s)),
    ),
    (
        "create_job",  # a shadow
        record,
        lambda s, _: record(s, OTHER, shadow_of=JOB).place,
    ),
    ("delete_job", record, lambda s, _: cancel.delete_job(s, JOB, "anna")),
    (
        "delete_job",  # with its shadow
        lambda s: (record(s), record(s, OTHER, shadow_of=JOB)),
        lambda s, _: cancel.delete_job(s, JOB, "anna"),
    ),
    ("drop_shadow", record, lambda s, _: shadows.drop(s, JOB, "service_full")),
    (
        "expire_chunks",
        lambda s: (record(s), overdue(s)),
        lambda s, _: cancel.expire_chunks(s, JOB, ItemError.DEADLINE_EXCEEDED),
    ),
    (
        "explain_missing",
        lambda _: None,
        lambda s, _: s.run(
            "explain_missing",
            {"job_id": JOB, "issued_at_ms": s.now_ms(), "ttl_ms": 10**7, "clock_skew_ms": 0},
        ),
    ),
    ("lease_chunks", record, lambda s, _: seen(take(s))),
    ("lease_chunks", lambda s: record(s, chunks=5), lambda s, _: seen(take(s, 20))),
    (
        "lease_deliveries",
        finish_with_webhook,
        lambda s, _: [(each.job_id, each.attempt, each.counts) for each in due_deliveries(s)],
    ),
    (
        "lease_deliveries",
        lambda s: (finish_with_webhook(s), s.redis.hset(job_key(JOB, "delivery"), "attempts", 99)),
        lambda s, _: due_deliveries(s),
    ),
    (
        "fold_usage",
        old_usage,
        lambda s, _: s.run("fold_usage", {"owner": "anna", "folds": FOLDS, "drops": []}),
    ),
    ("free_expired", expired, lambda s, _: s.run("free_expired", {"limit": 9})),
    ("pause", record, lambda s, _: pause(s, pause={"by": "operator"})),
    (
        "pause",  # which resumes
        lambda s: (record(s), pause(s, pause={"by": "operator"})),
        lambda s, _: pause(s),
    ),
    (
        "settle_jobs",
        lambda s: (record(s), s.run("pause", {"target": "class:bulk", "pause": {"by": "x"}, "queues": []})),
        lambda s, _: pauses.settle(s, 9),
    ),
    ("read_backlog", record, lambda s, _: read_backlogs(s, [MODEL_NAME])[QUEUE].items),
    ("register_model", lambda _: None, lambda s, _: models.register(s, MODEL_NAME, {}, starting=True)),
    (
        "register_model",  # again, after it was retired
        lambda s: (models.register(s, MODEL_NAME, {}), models.retire(s, MODEL_NAME)),
        lambda s, _: models.register(s, MODEL_NAME, {}, starting=True),
    ),
    (
        "release_job",
        lambda s: (record(s, chunks=3, not_before_ms=4 * 10**12), s.redis.zadd(DEFERRED, {JOB: 1})),
        lambda s, _: s.run("release_job", {"job_id": JOB, "limit": 2}),
    ),
    (
        "retire_model",
        lambda s: (models.register(s, MODEL_NAME, {}), record(s)),
        lambda s, _: models.retire(s, MODEL_NAME),
    ),
    (
        "retire_model",  # which removes it
        lambda s: models.register(s, MODEL_NAME, {}),
        lambda s, _: models.retire(s, MODEL_NAME),
    ),
    (
        "read_retryable",
        lambda s: (
            record(s, chunks=1),
            overdue(s),
            cancel.expire_chunks(s, JOB, ItemError.DEADLINE_EXCEEDED),
        ),
        lambda s, given: list(retryable_items(s, given[0])),
    ),
    ("read_results", finish_with_webhook, lambda s, _: s.results(JOB, 0, 9)),
    (
        "return_chunk",
        lambda s: (record(s), take(s))[1],
        lambda s, held: leases.return_chunk(s, held, held.chunks[0], leases.ReturnReason.SICK),
    ),
    (
        "record_attempt",
        lambda s: (finish_with_webhook(s), due_deliveries(s))[1][0],
        lambda s, due: deliveries.record_attempt(
            s, due, AttemptOutcome(status_code=500), DeliveryStatus.PENDING, 5
        ),
    ),
    (
        "record_attempt",
        lambda s: (finish_with_webhook(s), due_deliveries(s))[1][0],
        lambda s, due: deliveries.record_attempt(s, due, AttemptOutcome(200), DeliveryStatus.DELIVERED),
    ),
    ("redeliver", given_up, all_deliveries.redeliver),
    (
        "test_webhook",
        lambda _: None,
        lambda s, _: s.run(
            "test_webhook",
            {"id": "test_1", "owner": "", "url": "https://a.example/", "host": "a.example", "ttl_ms": 9999}
            | {"event": TEST_EVENT},
        ),
    ),
    ("renew_lease", lambda s: (record(s), take(s))[1], leases.renew),
    (
        "leave_upload",
        begin_upload,
        lambda s, _: leave_upload(s),
    ),
    (
        "take_upload",
        lambda s: (begin_upload(s), leave_upload(s)),
        lambda s, _: uploads.take(s, JOB, replace(FEED, writer="another"), KEY),
    ),
    ("requeue_chunk", lambda s: (record(s, chunks=1), take(s)), lambda s, _: requeued(s)),
    ("reserve_idempotency_key", lambda _: None, lambda s, _: uploads.reserve_key(s, KEY, JOB)),
    (
        "reset_backlog",
        lambda s: s.redis.hset(backlog_key(QUEUE), "items", 3),
        lambda s, _: s.run("reset_backlog", {"queues": [str(QUEUE)]}),
    ),
    ("results_by_completion", finish_with_webhook, lambda s, _: s.results_by_completion(JOB, 0, 9)),
]


@contextmanager
def losing_the_answer(store: JobStore, script: str) -> Iterator[list[str]]:
    """Lose the answer of the first call of a script, with its connection, after Redis has sent it."""
    sha = store.run.__self__._scripts[script].sha.encode()  # type: ignore[attr-defined]
    lost: list[str] = []
    calling: set[int] = set()
    send: Any = redis.Connection.send_packed_command
    read: Any = redis.Connection.read_response

    def send_packed_command(self: redis.Connection, command: Any, *args: Any, **options: Any) -> None:
        parts = [command] if isinstance(command, (bytes, str)) else list(command)
        sent = b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in parts)
        if b"EVALSHA" in sent and sha in sent:
            calling.add(id(self))
        send(self, parts, *args, **options)

    def read_response(self: redis.Connection, *args: Any, **options: Any) -> Any:
        answer = read(self, *args, **options)
        if id(self) in calling and not lost:
            lost.append(script)
            self.disconnect()
            raise redis.ConnectionError("the answer is lost")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.Connection, "send_packed_command", send_packed_command)
        patch.setattr(redis.Connection, "read_response", read_response)
        yield lost


CLOCKS = {
    *("created", "deadline", "started", "finished", "expires", "cancel", "ended", "at_ms", "duration_ms"),
    *("since", "paused_at", "paused_deadline", "paused_ms", "resumed_at"),
    *("finished_at", "learned_at", "drained_items", "drained_cost", "drained_s", "reserved_until"),
}


def without_clocks(value: Any) -> Any:
    """Leave out what follows from the time: fields that hold one, and durations."""
    if isinstance(value, dict):
        return {
            name: without_clocks(each)
            for name, each in value.items()
            if name not in CLOCKS and not re.match("(job|queue)_s:", name)
        }
    if isinstance(value, str) and value.startswith("{"):
        return without_clocks(json.loads(value))
    return value


def content(client: Any) -> dict[str, Any]:
    """Return all keys with their values, scores and lifetimes left out where they are times."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": lambda key: sorted(client.smembers(key)),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: sorted(client.zrange(key, 0, -1)),
    }
    found: dict[str, Any] = {}
    for key in client.scan_iter("*"):
        if not key.startswith((b"sentiq:answer:", b"sentiq:reservation:")):
            found[key.decode()] = without_clocks(decoded(read[client.type(key)](key)))
    return found | {"reservations": len(list(client.scan_iter("sentiq:reservation:*")))}


def decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {decoded(name): decoded(each) for name, each in value.items()}
    if isinstance(value, list):
        return list(map(decoded, value))
    return value.decode(errors="replace") if isinstance(value, bytes) else value


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.mark.parametrize(
    ("script", "prepare", "call"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)]
)
def test_a_call_whose_answer_got_lost_is_as_if_it_had_not(
    server: str, monkeypatch: pytest.MonkeyPatch, script: str, prepare: Setup, call: Callable[..., Any]
) -> None:
    monkeypatch.setenv("REDIS_URL", server)
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", MODEL_NAME)
    monkeypatch.setenv("SENTIMENT_ID_SECRET", "the same for both runs")
    ends = []
    for loses in (False, True):
        store = JobStore.connect(Settings.read())
        store.redis.flushdb()
        given = prepare(store)
        if not loses:
            ends.append((call(store, given), content(store.redis)))
            continue
        with losing_the_answer(store, script) as lost:
            answer = call(store, given)
        assert lost == [script], "the answer was lost once"
        ends.append((answer, content(store.redis)))
    assert ends[0] == ends[1]


def test_every_script_has_a_case() -> None:
    assert {path.stem for path in LUA.glob("*.lua")} == {case[0] for case in CASES}
