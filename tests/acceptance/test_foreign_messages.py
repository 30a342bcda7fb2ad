"""Messages of others on our Redis: none of them stops a worker or keeps it from its work."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import redis
from celery import Celery
from sentiq import Sentiq

from local.stack import Stack
from tasks.broker.celery_app import build_celery, build_publisher
from tasks.broker.wakeups import publish_wakeups
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.keys import MODELS
from tasks.vocabulary.model_names import wakeup_queue
from tests.conftest import MODEL_NAME, eventually


def body(*parts: Any) -> str:
    return base64.b64encode(json.dumps(parts).encode()).decode()


WRONG: list[Any] = [None, 7, [], {}, "x"]


def without(part: dict[str, Any], left_out: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != left_out}


def variations(message: dict[str, Any]) -> list[bytes]:
    """Return messages that differ from a wake-up in one part each, so that Celery cannot use them."""
    calls: list[list[Any]] = [[], [[], {}, {}], [["bulky"], {}, {}], [[{}], {}, {}], [["bulk"], {"a": 1}, {}]]
    changed = [without(message, part) for part in message]
    changed += [message | {part: wrong} for part in message for wrong in WRONG]
    changed += [message | {"body": body(*call)} for call in calls]
    for part, keys in {"headers": ("id", "task"), "properties": ("delivery_tag", "delivery_info")}.items():
        for key in keys:
            changed.append(message | {part: without(message[part], key)})
            changed += [message | {part: message[part] | {key: wrong}} for wrong in WRONG[:4]]
    for header in (
        {"task": "theirs"},
        {"eta": "x"},
        {"expires": "x"},
        {"a": {"__type__": "x", "__value__": 1}},
    ):
        changed.append(message | {"headers": message["headers"] | header})
    return [json.dumps(each).encode() for each in changed]


NO_MESSAGES = [b"x", b"", b"\xff\xfe", b"null", b"7", b"[]", b"{}", b'"x"', b"[" * 100_000, b'{"body":']


@pytest.mark.timeout(120)
def test_a_worker_drops_what_it_cannot_read(live: Stack, store: JobStore, settings: Settings) -> None:
    publish_wakeups(build_publisher(settings), MODEL_NAME, 1)
    (wakeup,) = store.redis.lrange(wakeup_queue(MODEL_NAME), 0, -1)
    garbage = [*NO_MESSAGES, *variations(json.loads(wakeup))]
    with redis.Redis.from_url(live.redis_url) as connection, Sentiq(live.url) as client:
        for channel in ("/0.sentiq.pidbox", "/0.celery.pidbox"):
            for message in NO_MESSAGES:
                connection.publish(channel, message)
        (model,) = connection.hkeys(MODELS)
        queue = wakeup_queue(model.decode())
        connection.rpush(queue, *garbage)
        eventually(lambda: connection.llen(queue) == 0)
        assert live.score(client, "服务很贴心")["label"] == "positive"
        eventually(lambda: connection.zcard("sentiq:unacked_index") == 0)
    live.check()


def test_another_celery_app_on_the_same_database_cannot_stop_a_worker(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", live.redis_url)
    ours = build_celery(Settings.read())
    theirs = Celery("theirs", broker=live.redis_url, set_as_current=False)
    assert theirs.control.ping(timeout=1) == []
    theirs.control.shutdown()
    assert len(ours.control.ping(timeout=5, limit=1)) == 1
    live.check()
