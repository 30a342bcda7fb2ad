"""The broker's connection: REDIS_URL alone names it, and it is soon back after Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.utils import json as kombu_json
from pydantic import SecretStr

from api.app import create_app
from local.ports import free_port
from local.processes import ROOT
from tasks.broker.celery_app import build_celery, build_publisher
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.settings import Settings
from tasks.store.connection import connect
from tasks.store.jobs import JobStore
from tests.attacks.proxy import Proxy, proxied
from tests.conftest import MODEL_NAME, eventually

ENDS_S = 20.0
LONG_MESSAGE = 200_000  # bytes

# The command line of Celery reads those without a prefix.
FOREIGN = {
    "CELERY_BROKER_URL": "redis://theirs/3",
    "CELERY_BROKER_READ_URL": "redis://theirs/3",
    "CELERY_BROKER_WRITE_URL": "redis://theirs/3",
    "CELERY_RESULT_BACKEND": "db+postgresql://theirs",
    "CELERY_LOADER": "theirs:Loader",
    "CELERY_CONFIG_MODULE": "theirs",
    "CELERY_WORKER_QUEUES": "theirs",
    "BROKER_URL": "redis://theirs/3",
    "RESULT_BACKEND": "db+postgresql://theirs",
}


class GaveUpError(Exception):
    pass


@pytest.mark.parametrize("variable", FOREIGN)
def test_variables_of_celery_have_no_effect(
    variable: str, store: JobStore, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, FOREIGN[variable])
    publish_wakeups(build_publisher(settings), MODEL_NAME, 1)
    assert store.redis.llen("sentiq.test") == 1
    for url in (app := build_celery(settings)).conf.broker_read_url, app.conf.broker_write_url:
        assert url == settings.redis_url.get_secret_value()


def test_a_worker_can_say_how_it_is_connected_and_keeps_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower asks each worker for that when it starts."""
    url = "rediss+sentinel://ours:hidden-1@one,two/main?sentinel_password=hidden-2"
    monkeypatch.setenv("REDIS_URL", url)
    said = build_celery(Settings.read()).connection().info()
    del said["password"]  # as Celery does
    assert "hidden" not in kombu_json.dumps(said)


def test_variables_of_celery_have_no_effect_on_its_command_line() -> None:
    env = os.environ | FOREIGN | {"REDIS_URL": "redis://ours/5"}
    command = [sys.executable, "-m", "celery", "-A", "worker.main", "report"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "@ours:6379/5" in done.stdout
    assert "theirs" not in done.stdout
    assert "CELERY_BROKER_URL" in done.stderr, "a warning names what is ignored"


def test_whatever_publishing_raises_a_recorded_job_is_accepted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH", "none")
    app, publisher = create_app(Settings.read()), build_publisher(settings)
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "no-such-backend")
    with pytest.raises(NotPublishedError, match="no-such-backend"):
        publish_wakeups(publisher, MODEL_NAME, 1)
    answer = app.test_client().post("/v1/jobs", json={"text": "好"})
    assert answer.status_code == 202


def test_a_lost_connection_is_tried_again_every_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    pauses: list[float] = []

    def note(_error: Exception, pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            raise GaveUpError

    with pytest.raises(GaveUpError):
        build_celery(Settings.read()).connection_for_read().ensure_connection(note)
    assert max(pauses) <= 2


def test_another_app_on_the_same_database_has_other_channels(settings: Settings) -> None:
    ours, theirs = build_celery(settings), Celery("theirs", set_as_current=False)
    for name in ("control_exchange", "event_exchange", "event_queue_prefix"):
        assert ours.conf[name] != theirs.conf[name]


def control_channel(connection: Connection) -> Any:
    """Return a channel that listens to what is told to all workers, and has heard that it does."""
    channel = connection.channel()
    Queue("told", Exchange("all", type="fanout"), auto_delete=True, channel=channel).declare()
    channel.basic_consume("told", no_ack=True, callback=print, consumer_tag="1")
    channel.connection.cycle._register_LISTEN(channel)
    eventually(lambda: channel.subclient.connection.can_read(timeout=1))
    while channel.subclient.connection.can_read(timeout=0.5):
        channel._receive()
    return channel


def seconds_of(act: Callable[[], object]) -> float:
    """Return how long an act took; fail if it does not end, and leave it behind."""
    began = time.monotonic()
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(ENDS_S)
    assert not thread.is_alive(), f"still waits after {ENDS_S:.0f} s"
    return time.monotonic() - began


def test_the_control_channel_waits_for_no_message(settings: Settings) -> None:
    """A socket that was readable may have nothing to read any more; the worker's loop must go on."""
    channel = control_channel(build_celery(settings).connection_for_read())
    seconds_of(channel._receive)


@contextmanager
def linked(redis_url: str, settings: Settings) -> Iterator[tuple[Proxy, Settings]]:
    """Give a link to a Redis, and settings that lead through it."""
    port = urlsplit(redis_url).port or 0
    with proxied("127.0.0.1", port) as link:
        through = redis_url.replace(str(port), str(link.port))
        yield link, settings.model_copy(update={"redis_url": SecretStr(through)})


@pytest.mark.parametrize("model", [MODEL_NAME, "another"], ids=["known", "not declared yet"])
def test_wakeups_are_published_over_a_new_connection_if_the_link_died_in_silence(
    redis_url: str, settings: Settings, store: JobStore, model: str
) -> None:
    with linked(redis_url, settings) as (link, linked_settings):
        publisher = build_publisher(linked_settings)
        publish_wakeups(publisher, MODEL_NAME, 1)
        link.half_open()
        before = store.redis.llen(f"sentiq.{model}")
        publish_wakeups(publisher, model, 2)
    assert store.redis.llen(f"sentiq.{model}") == before + 2


def test_what_redis_refuses_is_published_once(settings: Settings, store: JobStore) -> None:
    publisher = build_publisher(settings)
    publish_wakeups(publisher, MODEL_NAME, 1)
    store.redis.config_set("maxmemory", 1)
    store.redis.config_resetstat()
    with pytest.raises(NotPublishedError):
        publish_wakeups(publisher, MODEL_NAME, 1)
    stats: Any = store.redis.info("commandstats")
    assert stats["cmdstat_lpush"]["rejected_calls"] == 1


def test_a_call_of_the_store_that_times_out_closes_the_idle_connections_of_channels(
    redis_url: str, settings: Settings
) -> None:
    with linked(redis_url, settings) as (link, linked_settings):
        client = connect(linked_settings)
        pool = build_celery(linked_settings).connection_for_read().default_channel.pool

        def connected() -> Any:
            client.ping()
            connection = pool.get_connection()
            pool.release(connection)
            return connection.is_connected and connection

        idle = eventually(connected)
        link.half_open()
        with pytest.raises(redis.TimeoutError):
            client.ping()
    assert not idle.is_connected


def test_half_a_message_of_the_control_channel_is_an_error_of_the_connection(
    redis_url: str, settings: Settings
) -> None:
    """The rest of it is held back, as by a link that is dead in silence, before the second block."""
    with linked(redis_url, settings) as (link, linked_settings):
        connection = build_celery(linked_settings).connection_for_read()
        channel = control_channel(connection)
        link.trickle()
        topic = channel._get_publish_topic("all", "")
        redis.Redis.from_url(redis_url).publish(topic, "x" * LONG_MESSAGE)
        eventually(lambda: channel.subclient.connection.can_read(timeout=1))
        link.half_open()
        caught: list[BaseException] = []

        def receive() -> None:
            try:
                while True:
                    channel._receive()
            except connection.connection_errors as error:
                caught.append(error)

        seconds_of(receive)
        assert caught


def closed_channel(connection: Connection) -> Any:
    """Return a channel whose connection was closed, as Celery does when Redis is gone."""
    channel = connection.channel()
    connection.release()
    return channel


def test_kombu_alone_takes_a_closed_connection_for_an_error_of_its_own(redis_url: str) -> None:
    """An ack on an old channel does this. When it fails, kombu has mended it: drop `Channel._connparams`."""
    channel = closed_channel(Connection(redis_url))
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute"):
        channel._connparams()


def test_a_closed_connection_is_an_error_of_the_connection(settings: Settings) -> None:
    connection = build_celery(settings).connection_for_read()
    channel = closed_channel(connection)
    with pytest.raises(redis.ConnectionError, match="connection is closed") as caught:
        channel._connparams()
    assert isinstance(caught.value, connection.connection_errors), "Celery reconnects on these"
