"""Redis as people run it: servers with options of their own, and a primary that Sentinels watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

from local.ports import free_port
from local.processes import Group, Process
from local.redis_server import find_server
from tests.conftest import eventually

SERVICE = "ours"
_SENTINELS, _QUORUM = 3, 2
_DOWN_MS, _FAILOVER_MS = 1000, 5000


def run_server(group: Group, *options: str) -> Process:
    """Start a server without snapshots, with options of its command line."""
    command = [find_server(), *options, "--save", "", "--loglevel", "warning"]
    return Process("redis", group.popen(command, env=None))


def answered(client: Any, server: Process) -> None:
    """Wait until a server answers. Raises ProcessDiedError if it ends instead."""

    def pong() -> bool:
        server.check()
        with suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    eventually(pong)


class Watched:
    """A primary with one replica, both with a log, and three Sentinels."""

    def __init__(self, group: Group, folder: Path) -> None:
        self._group, self._folder = group, folder
        self.primary_port, self.replica_port = free_port(), free_port()
        self.sentinel_ports = [free_port() for _ in range(_SENTINELS)]
        self.primary = self._server(self.primary_port)
        self.replica = self._server(self.replica_port, "--replicaof", "127.0.0.1", str(self.primary_port))
        eventually(lambda: self.client(self.replica_port).info("replication")["master_link_status"] == "up")
        for port in self.sentinel_ports:
            self._sentinel(port)
        eventually(self._all_know_all)

    @property
    def url(self) -> str:
        """Return the URL by which programs find the primary."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def client(self, port: int) -> Any:
        """Return a client of one server."""
        return redis.Redis(port=port, socket_timeout=5)

    def named(self) -> set[int]:
        """Return the ports of the primaries that the Sentinels name."""
        addresses = [
            self.client(port).sentinel_get_master_addr_by_name(SERVICE) for port in self.sentinel_ports
        ]
        return {address[1] for address in addresses}

    def start_again(self) -> None:
        """Start the server that was the primary at first, with its log."""
        self.primary = self._server(self.primary_port)

    def _server(self, port: int, *options: str) -> Process:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        persistent = ("--appendonly", "yes", "--dir", str(folder))
        process = run_server(self._group, "--port", str(port), "--bind", "127.0.0.1", *persistent, *options)
        answered(self.client(port), process)
        return process

    def _sentinel(self, port: int) -> None:
        file = self._folder / f"sentinel-{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary_port} {_QUORUM}\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_MS}\n"
            f"sentinel failover-timeout {SERVICE} {_FAILOVER_MS}\n"
        )
        process = Process("sentinel", self._group.popen([find_server(), str(file), "--sentinel"], env=None))
        answered(self.client(port), process)

    def _all_know_all(self) -> bool:
        """Return whether each Sentinel knows the replica and the other two."""
        states = [self.client(port).sentinel_master(SERVICE) for port in self.sentinel_ports]
        return all(
            (state["num-slaves"], state["num-other-sentinels"]) == (1, _SENTINELS - 1) for state in states
        )


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Run a primary, its replica and three Sentinels while the context lasts."""
    with Group() as group:
        yield Watched(group, folder)
