"""API processes of a test's own, beside those of the shared stack: they share its Redis and its workers."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import psutil

from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process
from tests.conftest import eventually


class OwnApi:
    """An API process on a port that stays the same when it is killed and started again."""

    def __init__(self, redis_url: str, log: Path, auth: str = "none") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {"REDIS_URL": redis_url, "PORT": str(self.port), "AUTH": auth}
        self._log_file = log
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        self._log = Log(self._resources.enter_context(self._log_file.open("a", encoding="utf-8")))
        self._group = self._resources.enter_context(Group())
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"]
        popen = self._group.popen(command, os.environ | self._environment)
        self._process = Process("api", popen, self._log)
        eventually(self._answers, within_s=60)

    def kill(self) -> None:
        """Kill the process with its children, as `kill -9` does."""
        parent = psutil.Process(self._process.pid)
        for each in [*parent.children(recursive=True), parent]:
            each.kill()

    def _answers(self) -> bool:
        self._process.check()
        try:
            return httpx2.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx2.TransportError:
            return False
