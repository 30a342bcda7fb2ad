"""Connections: how long they may take, how many there may be, and what the app never gets to see."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import gevent
import gevent.event
import gevent.socket
import httpx2
import psutil
import pytest

from api import server
from api.http.capacity import MAX_CONNECTIONS
from api.server import Connection, Connections
from api.waiting.turns import AT_ONCE, turns
from local.ports import free_port
from tasks.settings import Settings
from tests.api.raw_requests import Answer, answer_on, connected, exchange, head
from tests.conftest import MODEL_NAME, eventually


@contextmanager
def api_with_files(redis_url: str, log: Path, limits: str, **variables: str) -> Iterator[tuple[str, int]]:
    """Run the API under `ulimit`s; give its URL and the id of its main process."""
    port = free_port()
    command = f"{limits}; exec {sys.executable} -m gunicorn --config api/gunicorn.conf.py api.wsgi:app"
    env = os.environ | {
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "AUTH": "none",
        "SENTIMENT_DEFAULT_MODEL": MODEL_NAME,
    }
    env |= variables
    with log.open("w", encoding="utf-8") as output:
        api = subprocess.Popen(["/bin/bash", "-c", command], env=env, stdout=output, stderr=output)
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: "Booting worker" in log.read_text("utf-8"), within_s=60)
            with httpx2.Client(base_url=url, timeout=30, trust_env=False) as probe:
                eventually(lambda: alive(probe), within_s=60)
            yield url, api.pid
        finally:
            api.send_signal(signal.SIGTERM)
            api.wait(60)


def alive(probe: httpx2.Client) -> bool:
    try:
        return probe.get("/livez").is_success
    except httpx2.TransportError:
        return False


def long_request(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    """Make a request that is longer than other libraries allow."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return Answer(
        response.status, response.headers["content-type"], json.loads(response.read().decode() or "null")
    )


def test_metadata_at_its_maximum_fits_into_a_query_and_is_found_again(live_url: str) -> None:
    metadata = {f"{i:02}{'店' * 62}": "好" * 512 for i in range(16)}
    query = urlencode({f"metadata.{name}": value for name, value in metadata.items()})
    lines = {"content-type": "application/x-ndjson"}
    uploaded = long_request(live_url, "POST", f"/v1/jobs?{query}", '"好"'.encode(), **lines)
    assert (uploaded.status, uploaded.body["metadata"]) == (202, metadata)
    document = json.dumps({"text": "好", "metadata": metadata}).encode()
    recorded = long_request(live_url, "POST", "/v1/jobs", document, **{"content-type": "application/json"})
    found = long_request(live_url, "GET", f"/v1/jobs?{query}&limit=2")
    assert [job["id"] for job in found.body["data"]] == [recorded.body["id"], uploaded.body["id"]]


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (head(f"/v1/jobs?metadata.a={'a' * 140_000}", method="GET"), 414, "uri_too_long"),
        (f"GET /{'a' * 140_000}".encode(), 414, "uri_too_long"),
        (head("/livez", f"x: {'a' * 9000}", method="GET"), 431, "headers_too_large"),
        (head("/livez", *["x: y"] * 200, method="GET"), 431, "headers_too_large"),
        (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, "bad_request"),
        (head("/v1/jobs", "content-length: x"), 400, "bad_request"),
        (head("/v1/jobs", "content-length: 1", "transfer-encoding: chunked"), 400, "bad_request"),
        (head("/v1/jobs", "transfer-encoding: br"), 501, "unsupported_encoding"),
        (head("/v1/jobs", "expect: a-miracle"), 417, "expectation_failed"),
    ],
)
def test_what_is_no_request_gets_a_problem_document(
    live_url: str, sent: bytes, status: int, code: str
) -> None:
    answer = exchange(live_url, sent)
    assert (answer.status, answer.body["status"], answer.body["code"]) == (status, status, code)
    assert answer.media_type == "application/problem+json"
    assert {"type", "title", "detail", "instance", "request_id"} <= answer.body.keys()


def test_a_problem_that_the_app_never_sees_has_the_headers_of_every_answer(live_url: str) -> None:
    refused, app_problem = (
        headers_of(live_url, request) for request in (b"no request\r\n\r\n", head("/nope", method="GET"))
    )
    per_connection = {"connection", "date", "server"}
    assert refused.keys() - per_connection == app_problem.keys() - per_connection
    same = refused.keys() - per_connection - {"content-length", "x-request-id"}
    assert {name: refused[name] for name in same} == {name: app_problem[name] for name in same}


def headers_of(url: str, sent: bytes) -> dict[str, str]:
    with connected(url) as connection:
        connection.sendall(sent)
        top = connection.recv(65536).partition(b"\r\n\r\n")[0].decode()
    fields = (line.partition(":") for line in top.splitlines()[1:])
    return {name.lower(): value.strip() for name, _, value in fields}


def test_a_connection_is_kept_alive_longer_than_balancers_keep_theirs() -> None:
    assert Settings().keep_alive_s > 60


def test_the_seconds_of_keep_alive_are_set_and_a_stop_waits_for_no_idle_connection(
    redis_url: str, tmp_path: Path
) -> None:
    get = head("/livez", method="GET")
    with ExitStack() as stack:
        log = tmp_path / "api.log"
        short = stack.enter_context(
            api_with_files(redis_url, log, "ulimit -Sn 200", SENTIMENT_KEEP_ALIVE_S="1")
        )[0]
        connection = stack.enter_context(connected(short))
        for _ in range(2):
            connection.sendall(get)
            assert answer_on(connection).status == 200
        answered = time.monotonic()
        assert connection.recv(1) == b""
        assert 0.8 < time.monotonic() - answered < 15
    with api_with_files(redis_url, log, "true") as (url, pid), connected(url) as idle:
        idle.sendall(get)
        assert answer_on(idle).status == 200
        began = time.monotonic()
        psutil.Process(pid).terminate()
        assert idle.recv(1) == b""
        eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        assert time.monotonic() - began < 20, "less than the grace of 35 s"


def test_the_soft_limit_on_files_is_raised(redis_url: str, tmp_path: Path) -> None:
    with api_with_files(redis_url, tmp_path / "api.log", "ulimit -Sn 256") as (url, pid):
        _, hard = psutil.Process().rlimit(psutil.RLIMIT_NOFILE)
        for process in (psutil.Process(pid), *psutil.Process(pid).children()):
            assert process.rlimit(psutil.RLIMIT_NOFILE)[0] >= min(hard, MAX_CONNECTIONS)
        assert many_streams(url, 300) == {"200": 300}
    assert "requests are held" not in (tmp_path / "api.log").read_text("utf-8")


def test_a_hard_limit_on_files_is_obeyed_and_said(redis_url: str, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with api_with_files(redis_url, log, "ulimit -n 256") as (url, _):
        said = log.read_text("utf-8")
        assert re.search(
            r"At most 120 requests are held, not SENTIMENT_MAX_HELD=3000: .* 160 connections", said
        )
        answers = many_streams(url, 200)
        assert answers == {"200": 80, "429": 120}, "half of the connections: others need some too"
    assert "Traceback" not in log.read_text("utf-8")


def many_streams(url: str, count: int) -> dict[str, int]:
    """Open event streams and leave them; return their statuses. The probe is answered meanwhile."""
    with httpx2.Client(base_url=url, timeout=30, trust_env=False) as client:
        job_id = client.post("/v1/jobs", json={"text": "好"}).json()["id"]
    statuses: dict[str, int] = {}
    with ExitStack() as streams:
        for _ in range(count):
            connection = streams.enter_context(connected(url))
            connection.sendall(head(f"/v1/jobs/{job_id}/events", method="GET"))
            status = connection.recv(100).split(b" ")[1].decode()
            statuses[status] = statuses.get(status, 0) + 1
        for _ in range(3):
            assert exchange(url, head("/livez", method="GET")).status == 200
    return statuses


@pytest.fixture
def pair() -> Iterator[tuple[Any, Any]]:
    """Two ends of a connection: the service's and the client's."""
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_client_that_does_not_read_is_left(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SEND_TIMEOUT_S", 0.2)
    monkeypatch.setattr(server, "_MIN_BYTES_PER_S", 10**7)
    connection = Connection(pair[0], keep_alive_s=1)
    connection.sendall(b"a" * 100)
    with pytest.raises(BrokenPipeError):
        connection.sendall(bytes(1_000_000))


def test_a_large_body_is_sent_without_a_copy(pair: tuple[Any, Any]) -> None:
    connection = Connection(pair[0], keep_alive_s=1)
    connection.begin_body()
    body = bytes(8 * 2**20)
    top = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    reading = gevent.spawn(lambda: sum(map(len, iter(lambda: pair[1].recv(65536), b""))))
    tracemalloc.start()
    try:
        connection.sendall(top)
        connection.sendall(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    pair[0].close()
    assert reading.get(timeout=10) == len(top) + len(body)
    assert peak < len(body) // 4


def test_an_error_behind_the_head_of_a_request_is_answered(pair: tuple[Any, Any]) -> None:
    connection = Connection(pair[0], keep_alive_s=1)
    connection.begin_body()
    server._send_problem(connection, 500, "internal_error", "Something went wrong.")
    pair[1].settimeout(5)
    assert answer_on(pair[1]).body["code"] == "internal_error"


def test_a_head_that_drips_is_ended(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    connection = Connection(pair[0], keep_alive_s=60)

    def drip() -> None:
        while True:
            pair[1].sendall(b"x")
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)
    began = time.monotonic()
    received = sum(len(block) for block in iter(lambda: connection.recv(100), b""))
    dripping.kill()
    assert received >= 1
    assert 0.2 < time.monotonic() - began < 5


def test_a_new_connection_is_kept_though_all_others_serve_requests(pair: tuple[Any, Any]) -> None:
    few = Connections(most=1, most_of_address=1)
    with gevent.socket.socket() as busy:
        serving = Connection(busy, keep_alive_s=60)
        few.add(serving, "a")
        few.note_request(serving)
        few.add(Connection(pair[0], keep_alive_s=60), "a")
        assert open_still(pair[1])


def test_connections_that_serve_no_request_make_room_for_new_ones() -> None:
    sockets = [gevent.socket.socketpair() for _ in range(6)]
    try:
        connections = [Connection(ours, keep_alive_s=60) for ours, _ in sockets]
        few = Connections(most=server._SPARE_CONNECTIONS + 4, most_of_address=1)
        for connection in connections[:3]:
            few.add(connection, "a")
            if connection is connections[0]:
                few.note_request(connection)
        assert [open_still(theirs) for _, theirs in sockets[:3]] == [True, False, True], (
            "one serves a request"
        )
        few.remove(connections[1])
        few.note_end(connections[2])
        for connection in connections[3:]:
            few.add(connection, str(id(connection)))
        assert [open_still(theirs) for _, theirs in sockets[2:]] == [False, True, True, True]
    finally:
        for ours, theirs in sockets:
            ours.close()
            theirs.close()


def test_each_new_connection_of_a_burst_makes_room_though_no_other_greenlet_runs() -> None:
    sockets = [gevent.socket.socketpair() for _ in range(6)]
    try:
        few = Connections(most=4000, most_of_address=3)
        for ours, _ in sockets:
            few.add(Connection(ours, keep_alive_s=60), "a")
        assert [open_still(theirs) for _, theirs in sockets] == [False] * 3 + [True] * 3
    finally:
        for ours, theirs in sockets:
            ours.close()
            theirs.close()


@pytest.mark.parametrize("waits_for", ["its turn", "its client"])
def test_a_connection_that_is_closed_ends_before_its_turn(pair: tuple[Any, Any], waits_for: str) -> None:
    def serve() -> None:
        connection = Connection(pair[0], keep_alive_s=60, server=gevent.getcurrent())
        served.append(connection)
        try:
            turns.take("a")
            connection.recv(1)
        finally:
            turns.end()

    def work() -> None:
        turns.take("a")
        over.wait()
        turns.end()

    served: list[Connection] = []
    over = gevent.event.Event()
    others = [work] * AT_ONCE
    greenlets = [
        gevent.spawn(task) for task in ([*others, serve] if waits_for == "its turn" else [serve, *others])
    ]
    gevent.sleep(0.05)
    served[0].hang_up()
    assert len(gevent.joinall(greenlets, timeout=5, count=1)) == 1
    over.set()
    gevent.joinall(greenlets, timeout=5)
    assert all(greenlet.dead for greenlet in greenlets)


def open_still(theirs: Any) -> bool:
    theirs.settimeout(0.05)
    try:
        return bool(theirs.recv(1))
    except TimeoutError:
        return True
