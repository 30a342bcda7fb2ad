from __future__ import annotations

import base64
import json

import pytest

from local.ports import free_port
from tasks.broker.celery_app import build_celery, build_publisher
from tasks.broker.wakeups import NotPublishedError, publish_wakeups
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.conftest import MODEL_NAME


def test_a_wakeup_says_nothing_but_its_queue(store: JobStore, settings: Settings) -> None:
    publish_wakeups(build_publisher(settings), MODEL_NAME, 1)
    (raw,) = store.redis.lrange("sentiq.test", 0, -1)
    message = json.loads(raw)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([], {})
    assert message["content-type"] == "application/json"


def test_the_wakeups_of_a_job_are_published_in_one_round_trip(store: JobStore, settings: Settings) -> None:
    app = build_publisher(settings)
    publish_wakeups(app, MODEL_NAME, 1)
    before = store.redis.info("stats")["total_reads_processed"]
    publish_wakeups(app, MODEL_NAME, 90)
    reads = store.redis.info("stats")["total_reads_processed"] - before
    assert store.redis.llen("sentiq.test") == 91
    assert reads < 45, "Redis reads 16 KiB at a time; a round trip each would be 90"


def test_without_redis_publishing_gives_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(NotPublishedError):
        publish_wakeups(build_publisher(Settings.read()), MODEL_NAME, 1)


def test_neither_side_takes_pickle_or_keeps_results(settings: Settings) -> None:
    for app in (build_celery(settings), build_publisher(settings)):
        assert app.conf.accept_content == app.conf.result_accept_content == ["json"]
        assert app.conf.result_backend is None
        assert app.conf.task_create_missing_queues is False
