"""The stack: Redis, API, worker, webhooks and Flower, started in order, watched, and stopped together.

honcho does not replace it: it starts processes in no order, kills those that take more than five seconds to
end, and leaves all of them running when it is killed itself.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from sentiq import Item, ModelInfo, Sentiq, SentiqTimeoutError

from local.logs import Log
from local.processes import Group, Process, Restarted, stop
from local.redis_server import require_answer, start_redis
from tasks.vocabulary.hosts import in_url, is_loopback, is_unspecified

_READY_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 15
_STOP_WITHOUT_REDIS_S = 2  # without Redis no result can be recorded, so nothing is worth a wait
_POLL_S = 0.05
_ASPECT = "服务"

# The module that each role runs, with its arguments.
ROLES: Mapping[str, Sequence[str]] = {
    "worker": ("worker",),
    "api": ("gunicorn", "--config", "api/gunicorn.conf.py", "api.wsgi:app"),
    "webhooks": ("webhooks",),
}


class StackError(Exception):
    """A part of the stack is not ready in time; the message names it."""


@dataclass(frozen=True)
class Plan:
    """Where to run the stack; if `redis_url` is None, a Redis is started too.

    That one keeps its data in `data_dir`, if there is one; `durable`: as DURABLE=true needs it.
    """

    port: int
    host: str = "127.0.0.1"
    redis_url: str | None = None
    data_dir: Path | None = None
    durable: bool = False


class Stack:
    """The running processes of a plan."""

    def __init__(self, plan: Plan, group: Group, log: Log) -> None:
        self.processes: list[Process] = []
        self._flower: Restarted | None = None
        self._plan = plan
        self._group = group
        self._log = log

    @property
    def redis_url(self) -> str:
        """Return the URL of the Redis that holds the job store."""
        return self._redis_url

    @property
    def url(self) -> str:
        """Return the URL at which this machine reaches the API."""
        host = self._plan.host
        if is_unspecified(host):
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://{in_url(host)}:{self._plan.port}"

    @property
    def flower(self) -> Process | None:
        """Return the process of Flower, if it was started."""
        return self._flower.process if self._flower else None

    def start(self) -> None:
        """Start Redis, worker, API and webhooks; when this returns, only Redis is known to answer."""
        redis_url = self._plan.redis_url
        if not redis_url:
            server, redis_url = start_redis(
                self._group,
                data_dir=self._plan.data_dir,
                log=self._log,
                # Other users of this machine reach the port too.
                password=secrets.token_urlsafe(24),
                durable=self._plan.durable,
            )
            self.processes.append(server)
        self._redis_url = redis_url
        for name, command in ROLES.items():
            # Flower shows one of two workers that share a name.
            unique = (f"--hostname={secrets.token_hex(4)}@%h",) if name == "worker" else ()
            self.processes.append(self._start(name, *command, *unique))

    def start_flower(self, port: int) -> None:
        """Start Flower, and wait until it accepts connections; `wait` starts it again whenever it ends.

        The service needs no monitor: if it ends already, or takes too long, this only says so.
        """
        options = ("--address=127.0.0.1", f"--port={port}", "--logging=error")
        command = ("celery", "-A", "deploy.flower.loopback", "flower", *options)
        self._flower = Restarted(lambda: self._start("flower", *command), self._log)
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while self._flower.process.running and not _listens(port):
            self.check()
            if time.monotonic() > deadline:
                self._log.line("flower", f"is not ready after {_READY_TIMEOUT_S} s")
                return
            time.sleep(_POLL_S)

    def _start(self, name: str, *command: str) -> Process:
        env = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",  # as the log reads them
            "REDIS_URL": self._redis_url,
            "SENTIMENT_HOST": self._plan.host,
            # Only programs on this machine reach a loopback address: no keys needed.
            **({"AUTH": os.environ.get("AUTH", "none")} if is_loopback(self._plan.host) else {}),
            "PORT": str(self._plan.port),
            # A Redis that ends with the stack keeps nothing.
            **({} if self._plan.redis_url or self._plan.data_dir else {"DURABLE": "false"}),
        }
        popen = self._group.popen([sys.executable, "-m", *command], env)
        return Process(name, popen, self._log)

    def check(self) -> None:
        """Raise ProcessDiedError if a process of the service has ended."""
        for process in self.processes:
            process.check()

    def await_api(self, client: Sentiq) -> None:
        """Wait until the API is up and reaches Redis. Raises StackError and ProcessDiedError."""
        self._await("the API", client.ready)

    def _await(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{what} is not ready after {_READY_TIMEOUT_S} s")
            time.sleep(_POLL_S)

    def score(self, client: Sentiq, text: str) -> dict[str, Any]:
        """Score one text through the API and return its item. Raises ProcessDiedError.

        A model that reads pairs gives a verdict on one aspect of the text. Of several models, the default
        one scores, or else the first.
        """
        self._await("a model", lambda: bool(serving(client)))
        model = serving(client)[0]
        aspects = [_ASPECT] if model["input"] == "pair" else None
        job = client.submit([Item(text, aspects=aspects)], model=model["name"])
        while not job.finished:
            self.check()
            with suppress(SentiqTimeoutError):
                job.wait(timeout=1)
        return next(job.raw_results())

    def wait(self) -> Never:
        """Wait until a process of the service ends, then raise ProcessDiedError."""
        while True:
            self.check()
            if self._flower:
                self._flower.attend()
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Stop all processes, Redis last, because the worker records what it is scoring."""
        self._log.line("stop", "finishing work in progress; press Ctrl-C again to kill all processes")
        redis = [process for process in self.processes if process.name == "redis"]
        others = [process for process in self.processes if process.name != "redis"]
        others += [self._flower.process] if self._flower else []
        has_redis = all(process.running for process in redis)
        stop(others, _STOP_TIMEOUT_S if has_redis else _STOP_WITHOUT_REDIS_S)
        stop(redis, _STOP_TIMEOUT_S)


def serving(client: Sentiq) -> list[ModelInfo]:
    """Return the models that take jobs, the default one first."""
    return [model for model in client.models() if not model["retiring"]]


@contextmanager
def running_stack(plan: Plan, log: Log) -> Iterator[Stack]:
    """Run the stack while the context lasts; a second Ctrl-C, while it stops, kills it."""
    if plan.redis_url:
        require_answer(plan.redis_url)
    with Group() as group:
        stack = Stack(plan, group, log)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt as Ctrl-C does, unless they are ignored (nohup)."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, signal.default_int_handler)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
