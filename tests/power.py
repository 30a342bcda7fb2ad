"""A Redis whose power can fail: what it had not brought to disk is gone then, as no `kill -9` shows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from local.ports import free_port
from local.processes import Group, Process
from local.redis_server import find_server
from tests.conftest import eventually

_SOURCE = Path(__file__).parent / "synced.c"


class PoweredRedis:
    """A server with a log in a folder. `fail` and `start` are a power failure and the start behind it."""

    def __init__(self, group: Group, folder: Path, library: Path, options: Sequence[str]) -> None:
        self._group, self._library, self._options = group, library, options
        self._data, self._notes = folder / "data", folder / "notes"
        self.port = free_port()
        for path in (self._data, self._notes):
            path.mkdir()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> Any:
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> None:
        """Start the server with what is on disk."""
        command = (
            *(find_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "yes", "--dir", str(self._data), *self._options),
        )
        env = os.environ | {"LD_PRELOAD": str(self._library), "SYNCED": str(self._notes)}
        self.process = Process("redis", self._group.popen(command, env=env))
        eventually(self._answers)

    def kill(self) -> None:
        """Kill the server with SIGKILL: the kernel has what it had written."""
        self.process.kill()
        self.process.end()

    def fail(self) -> None:
        """Kill the server, and cut off from its log what was not on disk."""
        self.kill()
        for log in (path for path in self._data.rglob("*.aof") if "base" not in path.name):
            note = self._notes / f"{log.name}.synced"
            with log.open("rb+") as file:
                file.truncate(int(note.read_text()) if note.exists() else 0)

    def _answers(self) -> bool:
        self.process.check()
        with suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False


@contextmanager
def powered_redis(folder: Path, *options: str, fsync: str = "everysec") -> Iterator[PoweredRedis]:
    """Run such a server while the context lasts; skip the test where no C compiler is."""
    library = folder / "synced.so"
    if not (compiler := shutil.which("cc")):
        pytest.skip("this machine has no C compiler (cc)")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    with Group() as group:
        yield PoweredRedis(group, folder, library, ("--appendfsync", fsync, *options))
