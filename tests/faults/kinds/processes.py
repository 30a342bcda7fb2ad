"""Processes that are killed, stopped for a while, or asked to end. What ends is soon started again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
from celery import Celery
from redis import RedisError

from tasks.broker.celery_app import build_celery
from tasks.settings import Settings
from tasks.store.keys import leases_key
from tests.attacks.cluster import Cluster
from tests.conftest import eventually
from tests.faults.kinds.kind import Break, Kind, Mend, alive, children, nothing_to_mend, workers
from tests.faults.kinds.redis_server import client

Find = Callable[[Cluster, random.Random], Sequence[psutil.Process]]


def a_child(cluster: Cluster, rng: random.Random) -> Sequence[psutil.Process]:
    """Return a child that holds a lease, if one does soon."""
    found = all_children(cluster, rng)
    pids = holders(cluster)
    return [rng.choice([child for child in found if child.pid in pids] or found)]


def all_children(cluster: Cluster, _: random.Random) -> Sequence[psutil.Process]:
    """Return all children, when one of them holds a lease, if that is soon."""
    found = [child for name in workers(cluster) for child in children(cluster, name)]
    holders(cluster)
    return found


def holders(cluster: Cluster) -> set[int]:
    """Return the pids of children that hold a lease now; none if nobody does for a while."""
    redis, end = client(cluster), time.monotonic() + BUSY_WITHIN_S
    with suppress(RedisError):
        while time.monotonic() < end:
            held = [redis.hvals(key) for key in redis.scan_iter(leases_key("*"), count=1000)]
            if pids := {int(holder.split()[0]) for values in held for holder in values}:
                return pids
    return set()


def an_api_process(cluster: Cluster, rng: random.Random) -> Sequence[psutil.Process]:
    return [rng.choice(children(cluster, "api"))]


def a_parent(cluster: Cluster, rng: random.Random) -> Sequence[psutil.Process]:
    return [cluster.process(rng.choice(workers(cluster)))]


def all_parents(cluster: Cluster, _: random.Random) -> Sequence[psutil.Process]:
    return [cluster.process(name) for name in workers(cluster)]


def named(name: str) -> Find:
    return lambda cluster, _: [cluster.process(name)]


def signalled(find: Find, signum: signal.Signals) -> Break:
    """Send a signal once, by which each of them must end."""

    def breaks(cluster: Cluster, rng: random.Random) -> Mend:
        for process in find(cluster, rng):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signum)
                cluster.ending.append(process)
        return nothing_to_mend

    return breaks


def stopped(find: Find, *, family: bool = False) -> Break:
    """Stop processes, with `family` their children too, and let them go on."""

    def breaks(cluster: Cluster, rng: random.Random) -> Mend:
        found = list(find(cluster, rng))
        if family:
            found += [child for process in found for child in process.children(recursive=True)]
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.suspend()

        def mend() -> None:
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

        return mend

    return breaks


def away(name: str) -> Break:
    """Kill a process and keep it away."""

    def breaks(cluster: Cluster, _: random.Random) -> Mend:
        cluster.hold_down(name)
        return lambda: cluster.let_up(name)

    return breaks


def all_workers_away(cluster: Cluster, _: random.Random) -> Mend:
    names = workers(cluster)
    for name in names:
        cluster.hold_down(name)

    def mend() -> None:
        for name in names:
            cluster.let_up(name)

    return mend


def told_to_shut_down(cluster: Cluster, rng: random.Random) -> Mend:
    """Tell all workers by Celery's remote control to finish what they score and to end, and let them.

    Where their links are broken too, they may not hear of it.
    """
    parents = all_parents(cluster, rng)
    app: Celery = build_celery(Settings(redis_url=cluster.redis_url))
    with app.connection_for_write() as connection:
        app.control.broadcast("shutdown", connection=connection)
    with suppress(AssertionError):
        eventually(lambda: not any(map(alive, parents)), within_s=TOLD_S)
    return nothing_to_mend


def killed_twice(cluster: Cluster, rng: random.Random) -> Mend:
    """Kill a child now, and another one when the fault ends: while the first is being replaced."""
    for child in a_child(cluster, rng):
        child.kill()

    def mend() -> None:
        for child in a_child(cluster, rng):
            os.kill(child.pid, signal.SIGKILL)

    return mend


BUSY_WITHIN_S = 2.0
TOLD_S = 15.0
KILL, TERM, QUIT = signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT
ONCE = (0.0, 0.5)
LONGER_THAN_A_LEASE = (7.0, 9.0)
KINDS = [
    Kind("child_killed", "`kill -9` of a worker's child", "worker", signalled(a_child, KILL), ONCE),
    Kind("children_killed", "`kill -9` of all children", "worker", signalled(all_children, KILL), ONCE),
    Kind(
        "child_killed_twice", "`kill -9` of a child, and of one while it is replaced", "worker", killed_twice
    ),
    Kind("child_stopped", "SIGSTOP of a child", "worker", stopped(a_child)),
    Kind(
        "child_stopped_past_its_lease",
        "SIGSTOP of a child until others have its work; it writes late",
        "worker",
        stopped(a_child),
        LONGER_THAN_A_LEASE,
    ),
    Kind(
        "children_stopped_past_their_leases",
        "SIGSTOP of all children until their work is pending again; they write late",
        "worker",
        stopped(all_children),
        LONGER_THAN_A_LEASE,
    ),
    Kind("parent_killed", "`kill -9` of a worker's parent", "worker", signalled(a_parent, KILL), ONCE),
    Kind("parents_killed", "`kill -9` of all parents", "worker", signalled(all_parents, KILL), ONCE),
    Kind("parent_stopped", "SIGSTOP of a parent, not of its children", "worker", stopped(a_parent)),
    Kind(
        "worker_stopped_past_its_leases",
        "SIGSTOP of a parent with its children until others have their work",
        "worker",
        stopped(a_parent, family=True),
        LONGER_THAN_A_LEASE,
    ),
    Kind("parent_terminated", "SIGTERM of a parent: a warm stop", "worker", signalled(a_parent, TERM), ONCE),
    Kind("parent_quit", "SIGQUIT of a parent: a cold stop", "worker", signalled(a_parent, QUIT), ONCE),
    Kind("workers_told_to_stop", "`shutdown` by Celery's remote control", "worker", told_to_shut_down, ONCE),
    Kind("workers_away", "no worker at all", "worker", all_workers_away),
    Kind("api_process_killed", "`kill -9` of an API process", "api", signalled(an_api_process, KILL), ONCE),
    Kind("api_process_stopped", "SIGSTOP of an API process", "api", stopped(an_api_process)),
    Kind("api_process_terminated", "SIGTERM of an API process", "api", signalled(an_api_process, TERM), ONCE),
    Kind("api_master_killed", "`kill -9` of gunicorn's master", "api", signalled(named("api"), KILL), ONCE),
    Kind("api_terminated", "SIGTERM of gunicorn's master", "api", signalled(named("api"), TERM), ONCE),
    Kind("api_away", "no API at all", "api", away("api")),
    Kind("sender_killed", "`kill -9` of the sender", "webhooks", signalled(named("webhooks"), KILL), ONCE),
    Kind("sender_terminated", "SIGTERM of the sender", "webhooks", signalled(named("webhooks"), TERM), ONCE),
    Kind("sender_stopped", "SIGSTOP of the sender", "webhooks", stopped(named("webhooks"))),
    Kind(
        "redis_killed",
        "`kill -9` of Redis; a second later it is back with its data",
        "redis",
        signalled(named("redis"), KILL),
        ONCE,
    ),
    Kind(
        "redis_terminated",
        "SIGTERM of Redis; a second later it is back",
        "redis",
        signalled(named("redis"), TERM),
        ONCE,
    ),
    Kind("redis_away", "no Redis for some seconds", "redis", away("redis"), (3.0, 8.0)),
    Kind("redis_away_for_a_minute", "no Redis for a minute", "redis", away("redis"), (60.0, 65.0)),
    Kind("redis_stopped", "SIGSTOP of Redis", "redis", stopped(named("redis"))),
    Kind(
        "redis_stopped_past_all_leases",
        "SIGSTOP of Redis for longer than a lease",
        "redis",
        stopped(named("redis")),
        LONGER_THAN_A_LEASE,
    ),
]
