"""The task in a Celery app of a caller: a real worker with one process, and a Redis of its own."""

from __future__ import annotations

import importlib
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from sentiq import BusyError, Sentiq
from sentiq.celery import pause_of

from local.logs import Log
from local.processes import ROOT, Group, Process
from local.redis_server import redis_server
from local.stack import Stack
from tests.client.test_jobs import BAD, GOOD, texts
from tests.conftest import eventually, worker_of

WAIT_S = 60


@pytest.fixture(scope="module")
def caller(live: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of the caller's app, whose worker runs."""
    folder: Path = tmp_path_factory.mktemp("caller")
    command = (
        "-A tests.client.celery_app worker --pool solo --without-gossip --without-mingle --loglevel INFO"
    )
    with (
        redis_server() as url,
        pytest.MonkeyPatch.context() as patch,
        (folder / "log").open("w", encoding="utf-8") as log,
        Group() as group,
    ):
        patch.setenv("CALLER_REDIS", url)
        sys.modules.pop("tests.client.celery_app", None)
        module = importlib.import_module("tests.client.celery_app")
        env = os.environ | {"SENTIQ_URL": live.url, "PYTHONPATH": f"{ROOT}:{ROOT / 'client'}"}
        popen = group.popen([sys.executable, "-m", "celery", *command.split()], env)
        worker = Process("caller", popen, Log(log))
        assert module.ping.delay().get(timeout=WAIT_S) == "pong"
        worker.check()
        yield module


def test_texts_are_scored(caller: Any) -> None:
    outcome = caller.score.delay(texts(50), metadata={"from": "celery"}).get(timeout=WAIT_S)
    assert (outcome["status"], outcome["counts"]["succeeded"]) == ("succeeded", 50)
    assert [item["index"] for item in outcome["results"]] == list(range(50))


def test_a_chain_goes_on_with_the_verdicts(caller: Any) -> None:
    items = [{"text": BAD, "id": "a"}, GOOD, {"text": GOOD, "data": {"b": 1}}]
    counted = chain(caller.score.s(items), caller.count.s()).delay().get(timeout=WAIT_S)
    assert counted == {"negative": 1, "positive": 2}


def test_a_job_that_waits_holds_no_worker(caller: Any, live: Stack) -> None:
    children = worker_of(live).children()
    try:
        for child in children:
            child.suspend()
        waiting = [caller.score.delay(texts(30), results=False) for _ in range(3)]
        eventually(lambda: all(each.state == "RETRY" for each in waiting), within_s=WAIT_S)
        assert caller.ping.delay().get(timeout=WAIT_S) == "pong"
        assert {each.state for each in waiting} == {"RETRY"}
    finally:
        for child in children:
            child.resume()
    outcomes = [each.get(timeout=WAIT_S) for each in waiting]
    assert {(each["status"], each["results"]) for each in outcomes} == {("succeeded", None)}


def test_a_message_that_is_delivered_twice_makes_one_job(caller: Any, client: Sentiq) -> None:
    tag, task_id = uuid.uuid4().hex, uuid.uuid4().hex
    for _ in range(2):
        caller.score.apply_async(([GOOD],), {"metadata": {"tag": tag}}, task_id=task_id).get(timeout=WAIT_S)
    assert len(list(client.jobs(metadata={"tag": tag}))) == 1


def test_a_service_that_is_away_is_called_again_and_then_fails_the_task(caller: Any) -> None:
    result = caller.away.delay([GOOD])
    eventually(lambda: result.state == "RETRY", within_s=WAIT_S)
    with pytest.raises(Exception, match="connection_failed"):
        result.get(timeout=WAIT_S)
    assert result.state == "FAILURE"


def test_a_refusal_fails_the_task(caller: Any) -> None:
    result = caller.score.delay([GOOD], deadline_s=0)
    with pytest.raises(Exception, match="deadline_s"):
        result.get(timeout=WAIT_S)
    assert result.state == "FAILURE"


def test_no_pause_is_as_long_as_a_broker_waits_for_an_acknowledgement() -> None:
    asked = BusyError("", retry_after=86_400)
    assert [pause_of(asked, 0), pause_of(BusyError(""), 3), pause_of(BusyError(""), 60)] == [1800, 8, 60]
