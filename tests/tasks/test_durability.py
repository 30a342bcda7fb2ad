"""DURABLE=true: what was accepted is there after a power failure; where that cannot be, the API says so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from flask.testing import FlaskClient

from api.app import create_app
from local.ports import free_port
from local.processes import ROOT, Group, Process, stop
from tasks.errors import ConfigurationError, StoreUnavailableError
from tasks.settings import Settings
from tasks.store.durability import waits_for_disk
from tasks.store.jobs import JobStore
from tasks.store.risks import require_durability
from tests.conftest import MODEL_NAME, eventually
from tests.power import PoweredRedis, powered_redis
from tests.programs import PROGRAMS

T = TypeVar("T")

CALLERS = 20
START_S = 60


@pytest.fixture
def fsync() -> str:
    """Return the policy of the server."""
    return "everysec"


@pytest.fixture
def server(fsync: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PoweredRedis]:
    """Run a Redis whose power can fail."""
    with powered_redis(tmp_path, fsync=fsync) as server:
        use(server, monkeypatch)
        yield server


def use(server: PoweredRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", MODEL_NAME)
    monkeypatch.setenv("AUTH", "none")


@pytest.fixture
def durable(server: PoweredRedis, fsync: str, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Return a client of an app in this process that waits for the disk."""
    needs_promise(server, fsync)
    monkeypatch.setenv("DURABLE", "true")
    return app_client()


@pytest.fixture
def durable_api(server: PoweredRedis, fsync: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx2.Client]:
    """Run an API that waits for the disk; give a client of it."""
    needs_promise(server, fsync)
    port = free_port()
    monkeypatch.setenv("DURABLE", "true")
    monkeypatch.setenv("PORT", str(port))
    with (
        Group() as group,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http,
    ):
        api = Process("api", group.popen([sys.executable, "-m", *PROGRAMS["api"]], env=os.environ))
        eventually(lambda: ready(api, http), within_s=START_S)
        yield http
        stop([api], START_S)


def ready(api: Process, http: httpx2.Client) -> bool:
    api.check()
    try:
        return http.get("/livez").is_success
    except httpx2.TransportError:
        return False


def needs_promise(server: PoweredRedis, fsync: str) -> None:
    """Skip a test where the server promises nothing about its disk: another test has it refused."""
    if fsync != "always" and not waits_for_disk(server.client.info("server")):
        pytest.skip("WAITAOF is missing in this server, or answers before the disk does")


def app_client() -> FlaskClient:
    """Return a client of an app that was started as api/wsgi.py does."""
    app = create_app(Settings.read())
    require_durability(app.extensions["sentiq"].store)
    return app.test_client()


durably = pytest.mark.parametrize("fsync", ["everysec", "always"])
"""Runs a test with each policy by which a server may keep the promise."""


def submit(client: Any, number: int, **headers: str) -> Any:
    return client.post("/v1/jobs", json={"text": f"第{number}条"}, headers=headers)


def submit_many(http: httpx2.Client) -> list[str]:
    """Submit as many jobs at the same time; return their ids."""
    with ThreadPoolExecutor(CALLERS) as callers:
        answers = list(callers.map(lambda number: submit(http, number), range(CALLERS)))
    assert {answer.status_code for answer in answers} == {202}
    return [answer.json()["id"] for answer in answers]


@durably
def test_every_accepted_job_is_there_after_a_power_failure(
    server: PoweredRedis, durable_api: httpx2.Client
) -> None:
    job_ids = submit_many(durable_api)
    server.fail()
    server.start()
    assert [found(durable_api, job_id).status_code for job_id in job_ids] == [200] * CALLERS


@durably
def test_a_repeated_call_a_cancel_and_a_delete_are_on_disk_too(
    server: PoweredRedis, durable: FlaskClient
) -> None:
    first, second, third = (submit(durable, number).json["id"] for number in range(3))
    key = {"Idempotency-Key": "one"}
    replayed = submit(durable, 3, **key).json["id"]
    assert submit(durable, 3, **key).json["id"] == replayed
    assert durable.post(f"/v1/jobs/{first}/cancel").status_code < 300
    assert durable.delete(f"/v1/jobs/{second}").status_code == 204
    server.fail()
    server.start()
    assert found(durable, first).json["status"] in {"canceling", "canceled"}
    assert found(durable, second).json["code"] == "job_deleted"
    assert found(durable, third).status_code == 200
    assert eventually(lambda: settled(submit(durable, 3, **key))).json["id"] == replayed


def test_by_default_the_last_second_may_be_lost_and_is_said_to_be(server: PoweredRedis) -> None:
    client = app_client()
    time.sleep(2.1)  # the secret of ids is on disk

    def lost() -> bool:
        job_id = submit(client, 1).json["id"]
        server.fail()
        server.start()
        answer = found(client, job_id)
        assert answer.status_code == 200 or answer.json["code"] == "job_lost"
        return bool(answer.status_code == 410)

    assert any(lost() for _ in range(5)), "one of them falls between two writes to disk"


def found(client: Any, job_id: str) -> Any:
    """Return the answer that a job gets when Redis serves again."""
    return eventually(lambda: settled(client.get(f"/v1/jobs/{job_id}")))


def settled(answer: Any) -> Any:
    return answer if answer.status_code != 503 else None


def test_by_default_a_kill_alone_loses_nothing(server: PoweredRedis) -> None:
    client = app_client()
    job_ids = [submit(client, number).json["id"] for number in range(CALLERS)]
    server.kill()
    server.start()
    assert [found(client, job_id).status_code for job_id in job_ids] == [200] * CALLERS


def test_callers_at_the_same_time_share_a_wait(server: PoweredRedis, durable_api: httpx2.Client) -> None:
    submit(durable_api, 0)
    before = waits(server)
    submit_many(durable_api)
    assert waits(server) - before <= CALLERS // 4


def waits(server: PoweredRedis) -> int:
    return int(server.client.info("commandstats")["cmdstat_waitaof"]["calls"])


@durably
def test_what_was_written_before_a_restart_is_not_vouched_for(
    server: PoweredRedis, durable: FlaskClient
) -> None:
    store: JobStore = durable.application.extensions["sentiq"].store
    began_s = time.monotonic()
    store.durability.settle(began_s)
    server.fail()
    server.start()
    with pytest.raises(StoreUnavailableError):
        eventually(lambda: vouched(store, began_s))
    store.durability.settle(time.monotonic())


def vouched(store: JobStore, began_s: float) -> bool:
    """Return False while the connection is the old one. Raises StoreUnavailableError with the new server."""
    try:
        store.durability.settle(began_s)
    except StoreUnavailableError as error:
        if "restarted" in str(error):
            raise
        return False
    return True


@durably
def test_a_disk_that_takes_too_long_is_a_503_and_the_work_is_not_doubled(
    server: PoweredRedis, durable: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that is stopped while a request waits has no answer, like one whose disk hangs."""
    durability = durable.application.extensions["sentiq"].store.durability
    settle = durability.settle

    def stopped(began_s: float) -> None:
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            settle(began_s)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)

    with monkeypatch.context() as patch:
        patch.setattr(durability, "settle", stopped)
        answer = submit(durable, 1, **{"Idempotency-Key": "slow"})
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    again = eventually(lambda: settled(submit(durable, 1, **{"Idempotency-Key": "slow"})))
    assert again.headers["Idempotent-Replayed"]


def test_a_redis_without_a_log_is_refused_when_the_api_starts(server: PoweredRedis) -> None:
    server.client.config_set("appendonly", "no")
    done = start_api()
    assert done.returncode != 0
    assert "DURABLE=true needs a Redis that keeps a log: set `appendonly yes`" in done.stderr
    assert "Traceback" not in done.stderr


def start_api() -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DURABLE": "true", "PORT": str(free_port())}
    command = [sys.executable, "-m", *PROGRAMS["api"]]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=START_S
    )


def test_a_redis_that_promises_nothing_is_refused_when_the_api_starts(server: PoweredRedis) -> None:
    if waits_for_disk(server.client.info("server")):
        pytest.skip("this server says when its disk has it")
    done = start_api()
    assert done.returncode != 0
    assert "says nothing about its disk unless it is set to `appendfsync always`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("fsync", ["always"])
def test_a_policy_that_is_changed_meanwhile_is_a_503(server: PoweredRedis, durable: FlaskClient) -> None:
    if waits_for_disk(server.client.info("server")):
        pytest.skip("this server says when its disk has it")
    assert submit(durable, 1).status_code == 202
    server.client.config_set("appendfsync", "everysec")
    assert submit(durable, 2).status_code == 503


@pytest.mark.parametrize("fsync", ["always"])
def test_a_log_that_is_given_up_meanwhile_is_a_503_and_holds_no_request_open(
    server: PoweredRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DURABLE", "true")
    monkeypatch.setenv("SENTIMENT_MAX_OPEN_REQUESTS", "2")
    client = app_client()
    server.client.config_set("appendonly", "no")
    for number in range(3):
        with submit(client, number) as answer:
            assert (answer.status_code, answer.json["code"]) == (503, "store_unavailable")


@pytest.mark.parametrize("fsync", ["always"])
def test_the_api_names_what_its_user_lacks(server: PoweredRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "-@blocking", "+info")
    server.client.execute_command("ACL", "SETUSER", "ours", "on", ">secret", *rules)
    monkeypatch.setenv("REDIS_URL", f"redis://ours:secret@127.0.0.1:{server.port}/0")
    durability = JobStore.connect(Settings.read()).durability
    lacking = "+waitaof" if waits_for_disk(server.client.info("server")) else "+config|get"
    with pytest.raises(ConfigurationError, match=f"add {re.escape(lacking)} to its ACL"):
        durability.require()
    server.client.execute_command("ACL", "SETUSER", "ours", lacking)
    durability.require()
    durability.settle(time.monotonic())
