"""A Redis that lives and does not serve as it should: full, read-only, busy, or without some of its data."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis

from tests.attacks.cluster import Cluster
from tests.conftest import eventually
from tests.disk import lacks_mount, mount
from tests.faults.kinds.kind import Break, Kind, Mend, nothing_to_mend

LOG_TAIL_BYTES = 40_000
ROOM_BYTES = 4 * 2**20  # the log grows that much before the disk is filled, and behind it
BUSY_S = 2.0
BUSY_SCRIPT = """
local from = redis.call('TIME')
repeat
  local now = redis.call('TIME')
until (now[1] - from[1]) + (now[2] - from[2]) / 1e6 > tonumber(ARGV[1])
"""


def client(cluster: Cluster) -> Any:
    """Return a client of Redis itself, past all links."""
    return redis.Redis.from_url(cluster.redis_url, socket_timeout=10, socket_connect_timeout=5)


def persistently(act: Callable[[], object]) -> None:
    """Repeat an act until Redis takes it: another fault may have it away."""

    def acted() -> bool:
        try:
            act()
        except (redis.RedisError, OSError):
            return False
        return True

    eventually(acted, within_s=60)


def configured(**settings: str) -> Break:
    """Change settings of Redis, and change them back. `-` stands in for `_`."""
    names = {name.replace("_", "-"): value for name, value in settings.items()}

    def breaks(cluster: Cluster, _: random.Random) -> Mend:
        redis = client(cluster)
        before = {name: redis.config_get(name)[name] for name in names}
        for name, value in names.items():
            redis.config_set(name, value)
        # A server that was restarted meanwhile has its own settings again: setting them twice does no harm.
        return lambda: persistently(lambda: [redis.config_set(*setting) for setting in before.items()])

    return breaks


def full(cluster: Cluster, rng: random.Random) -> Mend:
    used = client(cluster).info("memory")["used_memory"]
    return configured(maxmemory=str(used // 2))(cluster, rng)


def read_only(cluster: Cluster, _: random.Random) -> Mend:
    """Make it the replica of a server that is not there: it goes on serving reads, and refuses writes."""
    client(cluster).replicaof("127.0.0.1", 1)
    return lambda: persistently(lambda: client(cluster).replicaof("NO", "ONE"))


def paused(cluster: Cluster, rng: random.Random) -> Mend:
    client(cluster).client_pause(rng.randint(1500, 4000), all=True)
    return nothing_to_mend


def writes_paused(cluster: Cluster, rng: random.Random) -> Mend:
    client(cluster).client_pause(rng.randint(1500, 4000), all=False)
    return nothing_to_mend


def busy(cluster: Cluster, _: random.Random) -> Mend:
    """Run a script that ends after seconds; after 0.2 s of it Redis answers all others with BUSY."""
    server = client(cluster)
    server.config_set("busy-reply-threshold", 200)

    def run() -> None:
        with suppress(redis.RedisError, OSError):
            server.eval(BUSY_SCRIPT, 0, BUSY_S)

    threading.Thread(target=run).start()
    return lambda: persistently(lambda: server.config_set("busy-reply-threshold", 5000))


def clients_killed(cluster: Cluster, _: random.Random) -> Mend:
    server = client(cluster)
    for kind in ("normal", "pubsub"):
        server.client_kill_filter(_type=kind, skipme=True)
    return nothing_to_mend


def scripts_flushed(cluster: Cluster, _: random.Random) -> Mend:
    client(cluster).script_flush()
    return nothing_to_mend


def wiped(cluster: Cluster, _: random.Random) -> Mend:
    client(cluster).flushall()
    return nothing_to_mend


def wiped_and_restarted(cluster: Cluster, rng: random.Random) -> Mend:
    """Let Redis come back without its data, while an API process is replaced."""
    client(cluster).flushall()
    cluster.hold_down("redis")
    cluster.process("api").children()[rng.randrange(2)].kill()
    return lambda: cluster.let_up("redis")


def evicting(cluster: Cluster, rng: random.Random) -> Mend:
    """Let Redis drop keys at random, and then all: a job that lost a part can be in no known state."""
    used = client(cluster).info("memory")["used_memory"]
    settings = {"maxmemory_policy": "allkeys-random", "maxmemory": str(used * 2 // 3)}
    restore = configured(**settings)(cluster, rng)

    def mend() -> None:
        restore()
        persistently(client(cluster).flushall)

    return mend


def log_cut_off(cluster: Cluster, rng: random.Random) -> Mend:
    """Cut off the end of the append-only log, as a power failure does."""
    cluster.hold_down("redis")
    logs = sorted(cluster.data_dir.rglob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
    with logs[-1].open("rb+") as log:
        size = log.seek(0, 2)
        log.truncate(max(0, size - rng.randint(1, min(LOG_TAIL_BYTES, max(1, size // 4)))))
    return lambda: cluster.let_up("redis")


def disk_full(cluster: Cluster, _: random.Random) -> Mend:
    """Move the data of Redis to a small disk and fill it; give it room, and move the data back."""
    aside = cluster.data_dir.with_name("redis-aside")
    _bring_down(cluster)
    cluster.data_dir.rename(aside)
    cluster.data_dir.mkdir(mode=0o700)
    disk = mount(cluster.data_dir, _bytes_of(aside) + ROOM_BYTES)
    shutil.copytree(aside, cluster.data_dir, dirs_exist_ok=True)
    shutil.rmtree(aside)
    cluster.let_up("redis")
    disk.fill()
    eventually(lambda: _log_status(cluster) == "err")

    def mend() -> None:
        disk.free()
        eventually(lambda: _log_status(cluster) == "ok")
        _bring_down(cluster)
        shutil.copytree(cluster.data_dir, aside)
        disk.unmount()
        shutil.copytree(aside, cluster.data_dir, dirs_exist_ok=True)
        shutil.rmtree(aside)
        cluster.let_up("redis")

    return mend


def _log_status(cluster: Cluster) -> str:
    return str(client(cluster).info("persistence")["aof_last_write_status"])


def _bring_down(cluster: Cluster) -> None:
    cluster.hold_down("redis")
    eventually(lambda: not cluster.running("redis"))


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


KINDS = [
    Kind("redis_full", "Redis has no memory left for writes (`maxmemory`, `noeviction`)", "redis", full),
    Kind(
        "redis_disk_full",
        "the disk of Redis has no room for its log, which was moved to a small one: MISCONF",
        "redis",
        disk_full,
        (3.0, 6.0),
        lacks=lacks_mount,
    ),
    Kind("redis_read_only", "Redis is a replica: READONLY, as at a failover", "redis", read_only),
    Kind(
        "redis_without_replicas",
        "Redis refuses writes: NOREPLICAS (`min-replicas-to-write`)",
        "redis",
        configured(min_replicas_to_write="1"),
    ),
    Kind("redis_paused", "CLIENT PAUSE of all commands", "redis", paused),
    Kind("redis_writes_paused", "CLIENT PAUSE of writes", "redis", writes_paused),
    Kind("redis_busy", "a script of 2 s; others are answered BUSY", "redis", busy, (2.5, 3.0)),
    Kind("redis_clients_killed", "CLIENT KILL of every connection", "redis", clients_killed, (0.0, 0.5)),
    Kind("redis_scripts_flushed", "SCRIPT FLUSH", "redis", scripts_flushed, (0.0, 0.5)),
    Kind("redis_wiped", "FLUSHALL", "redis", wiped, (0.0, 0.5), loses_data=True),
    Kind(
        "redis_back_without_data",
        "Redis comes back without its data, while an API process is replaced",
        "redis",
        wiped_and_restarted,
        loses_data=True,
    ),
    Kind(
        "redis_evicting",
        "Redis evicts keys of all kinds, and is emptied then; every process outlives that",
        "redis",
        evicting,
        loses_data=True,
    ),
    Kind(
        "redis_log_cut_off",
        "`kill -9` of Redis, and up to 40 kB less of its log, as after a power failure",
        "redis",
        log_cut_off,
        loses_data=True,
    ),
]
