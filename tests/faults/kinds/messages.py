"""Celery's messages that are lost, doubled or mangled in Redis."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import RedisError

from tasks.store.keys import UNACKED
from tasks.vocabulary.model_names import WAKEUPS
from tests.attacks.cluster import Cluster
from tests.faults.kinds.kind import Kind, Mend, nothing_to_mend
from tests.faults.kinds.processes import all_workers_away
from tests.faults.kinds.redis_server import client, persistently

COPIES = 3
LOOK_S = 0.005
UNACKED_KEYS = (UNACKED, f"{UNACKED}_index", f"{UNACKED}_mutex")


def queues(redis: Any) -> list[bytes]:
    """Return the lists of wake-ups that are not empty."""
    return [key for key in redis.scan_iter(f"{WAKEUPS}*") if redis.type(key) == b"list"]


def lost(cluster: Cluster, _: random.Random) -> Mend:
    """Delete every wake-up that is published until the fault ends."""
    redis, ended = client(cluster), threading.Event()

    def delete() -> None:
        while not ended.wait(LOOK_S):
            with suppress(RedisError):
                for queue in queues(redis):
                    redis.delete(queue)

    thread = threading.Thread(target=delete, daemon=True)
    thread.start()

    def mend() -> None:
        ended.set()
        thread.join()

    return mend


def lost_in_calm(cluster: Cluster, rng: random.Random) -> Mend:
    """Let no worker run while every wake-up is deleted: then only the reconciler knows of the work."""
    up, stop_deleting = all_workers_away(cluster, rng), lost(cluster, rng)

    def mend() -> None:
        persistently(lambda: client(cluster).delete(*UNACKED_KEYS))
        stop_deleting()
        up()

    return mend


def once(act: Callable[[Any, random.Random], None]) -> Callable[[Cluster, random.Random], Mend]:
    def breaks(cluster: Cluster, rng: random.Random) -> Mend:
        act(client(cluster), rng)
        return nothing_to_mend

    return breaks


def unacknowledged_lost(redis: Any, _: random.Random) -> None:
    redis.delete(*UNACKED_KEYS)


def bindings_lost(redis: Any, _: random.Random) -> None:
    for key in redis.scan_iter("_kombu.binding.*"):
        redis.delete(key)


def doubled(redis: Any, _: random.Random) -> None:
    for queue in queues(redis):
        for message in redis.lrange(queue, 0, -1):
            redis.lpush(queue, *[message] * COPIES)


def mangled(redis: Any, rng: random.Random) -> None:
    """Cut messages off, change a byte of them, or put something else in their place."""
    for queue in queues(redis):
        messages = redis.lrange(queue, 0, -1) or [b"{}"]
        redis.delete(queue)
        for message in messages:
            at = rng.randrange(len(message))
            redis.lpush(queue, rng.choice([message[:at], message[:at] + b"\xff" + message[at + 1 :], b"[1]"]))


KINDS = [
    Kind("messages_lost", "the lists of wake-ups are deleted again and again", "messages", lost),
    Kind(
        "messages_lost_in_calm",
        "all wake-ups of a job are lost while no worker runs, and no later job brings a child",
        "worker",
        lost_in_calm,
        calm=True,
    ),
    Kind(
        "messages_unacknowledged_lost",
        "what Celery keeps of unacknowledged messages is deleted",
        "messages",
        once(unacknowledged_lost),
    ),
    Kind("messages_doubled", "three more copies of each wake-up", "messages", once(doubled)),
    Kind(
        "messages_mangled",
        "wake-ups are cut off, changed, or replaced by something else",
        "messages",
        once(mangled),
    ),
    Kind("bindings_lost", "Kombu's tables of bindings are deleted", "messages", once(bindings_lost)),
]
