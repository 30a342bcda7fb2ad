"""Workers, an API and a sender, each with a link of its own to Redis; what dies is started again."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process
from local.redis_server import start_redis
from local.stack import ROLES
from tests.attacks.proxy import Proxy, proxied

RESTART_S = 1.0
_POLL_S = 0.05


class Cluster:
    """The processes by name (`redis`, `api`, `webhooks`, `worker_1`, …), and the links of all but Redis.

    `variables` are those of a process from its next start on, in addition to the settings of all. `ending`
    are the processes that were told to end.
    """

    def __init__(self, group: Group, log: Log, data_dir: Path, settings: Mapping[str, str]) -> None:
        self.port, self.redis_port = free_port(), free_port()
        self.links: dict[str, Proxy] = {}
        self.variables: dict[str, dict[str, str]] = {}
        self.ending: list[psutil.Process] = []
        self._group, self._log, self.data_dir, self.settings = group, log, data_dir, settings
        self._processes: dict[str, Process] = {}
        self._held_down: set[str] = set()
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        """Return the URL of Redis itself, past all links."""
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def scorers(self) -> list[str]:
        """Return the names of the workers."""
        return sorted(name for name in self._processes if name.startswith("worker"))

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self._processes[name].pid)

    def program(self, name: str) -> Process:
        """Return a program as it was started last; it says how it ended."""
        return self._processes[name]

    def orphans(self) -> list[psutil.Process]:
        """Return the processes of the stack that descend from none of those that are watched."""
        family = {self._group.pid}
        for process in self._processes.values():
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                family |= {process.pid, *(child.pid for child in parent.children(recursive=True))}
        return [process for process in _members(self._group.pid) if process.pid not in family]

    def running(self, name: str) -> bool:
        return self._processes[name].running

    def hold_down(self, name: str) -> None:
        """Kill a process, and do not start it again before `let_up`."""
        self._held_down.add(name)
        self._processes[name].kill()

    def let_up(self, name: str) -> None:
        self._held_down.discard(name)
        while not self.running(name):
            time.sleep(_POLL_S)

    def start(self, stack: ExitStack, workers: int) -> None:
        names = ["api", "webhooks", *(f"worker_{number}" for number in range(1, workers + 1))]
        self._start("redis")
        for name in names:
            self.links[name] = stack.enter_context(proxied("127.0.0.1", self.redis_port))
            self._start(name)
        self._supervisor.start()

    def stop(self) -> None:
        """Start nothing again."""
        self._stopping.set()
        self._supervisor.join()

    def _start(self, name: str) -> None:
        if name == "redis":
            process, _ = start_redis(self._group, data_dir=self.data_dir, log=self._log, port=self.redis_port)
        else:
            command = [sys.executable, "-m", *ROLES[name.partition("_")[0]]]
            process = Process(name, self._group.popen(command, self._environment(name)), self._log)
        self._processes[name] = process

    def _environment(self, name: str) -> dict[str, str]:
        own = {
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": f"redis://127.0.0.1:{self.links[name].port}/0",
            "PORT": str(self.port),
            "AUTH": "none",
        }
        return os.environ | self.settings | own | self.variables.get(name, {})

    def _supervise(self) -> None:
        """Start a process again some time after it has died, as an engine of containers does."""
        while not self._stopping.wait(_POLL_S):
            dead = [name for name, process in self._processes.items() if not process.running]
            for name in set(dead) - self._held_down:
                if not self._stopping.wait(RESTART_S):
                    self._start(name)


def _members(group: int) -> list[psutil.Process]:
    """Return the live processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextmanager
def running_cluster(folder: Path, *, workers: int, **settings: str) -> Iterator[Cluster]:
    """Run a cluster while the context lasts; its log is `cluster.log` in the folder."""
    with (
        (folder / "cluster.log").open("w", encoding="utf-8") as log,
        Group() as group,
        ExitStack() as links,
    ):
        cluster = Cluster(group, Log(log), folder / "redis", settings)
        try:
            cluster.start(links, workers)
            yield cluster
        finally:
            cluster.stop()
