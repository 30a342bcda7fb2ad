"""The service on three hosts: Redis, API and sender on one, a worker on each of two."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import redis

from local.logs import Log
from local.processes import Group, Process
from local.redis_server import find_server
from local.stack import ROLES
from local.wires import Wires
from tests.attacks.cluster import Cluster

STORE, WORKERS = "store", ("worker_1", "worker_2")
HOSTS = (STORE, *WORKERS)
_POLL_S = 0.05
_START_S = 20


class HostCluster(Cluster):
    """A cluster whose processes are on hosts: the wires between these take the place of the links."""

    def __init__(
        self, wires: Wires, group: Group, log: Log, data_dir: Path, settings: Mapping[str, str]
    ) -> None:
        super().__init__(group, log, data_dir, settings)
        self.wires = wires

    @property
    def url(self) -> str:
        return f"http://{self.wires.addresses[STORE]}:{self.port}"

    @property
    def redis_url(self) -> str:
        return f"redis://{self.wires.addresses[STORE]}:{self.redis_port}/0"

    def start(self, stack: ExitStack, workers: int) -> None:  # noqa: ARG002  there are no links
        for name in ("redis", "api", "webhooks", *WORKERS[:workers]):
            self._start(name)
        self._supervisor.start()

    def _start(self, name: str) -> None:
        host = name if name in WORKERS else STORE
        command = self._redis() if name == "redis" else [sys.executable, "-m", *ROLES[name.partition("_")[0]]]
        environment = None if name == "redis" else self._environment(name)
        popen = self._group.popen(self.wires.command(host, command), environment)
        self._processes[name] = Process(name, popen, self._log)
        if name == "redis":
            self._await_redis()

    def _redis(self) -> list[str]:
        self.data_dir.mkdir(exist_ok=True)
        reached = ("--bind", self.wires.addresses[STORE], "--protected-mode", "no")
        kept = ("--appendonly", "yes", "--save", "", "--dir", str(self.data_dir.resolve()))
        return [find_server(), "--port", str(self.redis_port), "--loglevel", "warning", *reached, *kept]

    def _await_redis(self) -> None:
        end = time.monotonic() + _START_S
        while True:
            self._processes["redis"].check()
            with suppress(redis.RedisError), redis.Redis.from_url(self.redis_url) as client:
                client.ping()
                return
            assert time.monotonic() < end, "Redis does not answer"
            time.sleep(_POLL_S)

    def _environment(self, name: str) -> dict[str, str]:
        own = {
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": self.redis_url,
            "SENTIMENT_HOST": self.wires.addresses[STORE],
            "PORT": str(self.port),
            "AUTH": "none",
        }
        return os.environ | self.settings | own | self.variables.get(name, {})


@contextmanager
def running_hosts(wires: Wires, folder: Path, **settings: str) -> Iterator[HostCluster]:
    """Run the service on hosts while the context lasts; its log is `cluster.log` in the folder."""
    with (folder / "cluster.log").open("w", encoding="utf-8") as log, Group() as group, ExitStack() as links:
        cluster = HostCluster(wires, group, Log(log), folder / "redis", settings)
        try:
            cluster.start(links, len(WORKERS))
            yield cluster
        finally:
            cluster.stop()
