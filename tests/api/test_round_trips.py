"""What one text costs the API: few round trips to Redis, one write to the client."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from api.app import create_app
from api.server import Connection
from api.waiting.hub import _REMEMBERED, _Heard
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.store.keys import AUDIT_JOBS, published_key, ready_key
from tasks.vocabulary.chunks import ChunkResult
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import MODEL_NAME
from tests.verdicts import rated

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH", "none")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the names of the scripts and commands that this process sends to Redis, a send each."""
    sent: list[str] = []
    send: Any = redis.Connection.send_packed_command

    def send_packed_command(self: redis.Connection, command: Any, *args: Any, **options: Any) -> None:
        parts = [command] if isinstance(command, (bytes, str)) else list(command)
        sent.append(repr(parts)[:60])
        send(self, parts, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.Connection, "send_packed_command", send_packed_command)
        yield sent


def test_a_job_of_one_text_takes_two_round_trips_and_no_wakeup_while_all_are_awake(store: JobStore) -> None:
    with create_app(Settings.read()).test_client() as client:
        assert client.post("/v1/jobs", json={"text": "第一个"}).status_code == 202
        published = store.redis.llen(wakeup_queue(MODEL_NAME))
        with counted() as sent:
            assert client.post("/v1/jobs", json={"text": "第二个"}).status_code == 202
    assert published == store.redis.llen(wakeup_queue(MODEL_NAME)) == 1, "one child, and its wake-up is out"
    scripts = [command for command in sent if "EVALSHA" in command]
    assert len(scripts) == 2, "for the rate, and for the job"
    assert len(sent) - len(scripts) <= 2, "what is read at most twice a second"
    assert store.redis.xlen(AUDIT_JOBS) == 2, "each is in the audit log all the same"


def test_a_wakeup_is_published_for_each_ready_child(store: JobStore) -> None:
    store.redis.set(ready_key(MODEL_NAME), 3)
    with create_app(Settings.read()).test_client() as client:
        for number in range(5):
            assert client.post("/v1/jobs", json={"text": f"第{number}个"}).status_code == 202
    assert store.redis.llen(wakeup_queue(MODEL_NAME)) == 3
    assert store.redis.zcard(published_key(MODEL_NAME)) == 3


def test_a_lease_is_finished_in_one_round_trip_also_when_redis_has_lost_the_scripts(store: JobStore) -> None:
    with create_app(Settings.read()).test_client() as client:
        for number in range(3):
            job_id = client.post("/v1/jobs", json={"text": f"第{number}个"}).get_json()["id"]
    holder = leases.Holder("host:1/2/3", 1, siblings=1, model=MODEL_NAME)
    held = leases.lease(store, holder, 10**6)
    assert held is not None
    results = [ChunkResult(each.chunk, [rated(0.75, 5, 5)], 1) for each in held.chunks]
    store.redis.script_flush()
    assert leases.finish(store, held, results, {"id": "test", "revision": "1", "engine": "none"}) == 3
    with counted() as sent:
        found = store.with_results([job_id], 100)
    assert len(sent) == 1, sent
    job, page = found[job_id]
    assert (job.status.terminal, len(page.items)) == (True, 1)


def test_the_head_of_a_response_is_sent_with_its_body() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(0.1)
    with ours, theirs:
        connection = Connection(ours, 5)
        connection.begin_body()
        connection.sendall(HEAD)
        with pytest.raises(TimeoutError):
            theirs.recv(100)
        connection.sendall(b"ok")
        assert theirs.recv(1000) == HEAD + b"ok"
        connection.sendall(b"more")
        assert theirs.recv(1000) == b"more", "only the first head is held"


@pytest.mark.parametrize("without", [b"Content-Length: 0", b"Transfer-Encoding: chunked"])
def test_a_head_that_no_body_follows_is_sent_at_once(without: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(1)
    with ours, theirs:
        connection = Connection(ours, 5)
        connection.begin_body()
        connection.sendall(HEAD.replace(b"Content-Length: 2", without))
        assert without in theirs.recv(1000)


def test_the_head_of_a_response_without_its_body_is_sent_at_the_end() -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(1)
    with ours, theirs:
        connection = Connection(ours, 5)
        connection.begin_body()
        connection.sendall(HEAD)
        connection.flush()
        assert theirs.recv(1000) == HEAD


def test_what_was_heard_of_a_job_is_known_as_far_as_it_is_remembered() -> None:
    before = time.monotonic()
    heard = _Heard()
    assert not heard.nothing_of("a", before), "it may have finished before anybody listened"
    since = time.monotonic()
    assert heard.nothing_of("a", since)
    heard.add("a")
    assert not heard.nothing_of("a", since)
    for number in range(_REMEMBERED):
        heard.add(f"{number}")
    assert not heard.nothing_of("b", since), "what came at that time is forgotten"
    assert heard.nothing_of("b", time.monotonic())
