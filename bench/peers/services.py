"""Running services to be measured: a peer in its environment, or Sentiq."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentiq import Sentiq

from bench.environ import environ
from bench.load.callers import Connections, closed_loop, post
from bench.load.end_to_end import run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.peers.catalogue import Peer
from bench.peers.dialects import Dialect, read_verdicts
from bench.program import BenchError
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, Group, Process, stop
from local.redis_server import start_redis
from local.stack import Plan, Stack, running_stack

_READY_TIMEOUT_S = 300
_FIRST_ANSWER_S = 30
_STOP_S = 15
_CALLERS = 64
_FIRST = "等它醒来"


@dataclass(frozen=True)
class Service:
    """A service that answers: its port, its processes, how it is asked, and its Redis, if it has one."""

    port: int
    pids: list[int]
    dialect: Dialect
    bulk: Dialect
    redis_url: str = ""

    def score_bulk(self, texts: Sequence[str]) -> float:
        """Score all texts as fast as the service takes them; return the seconds."""
        size = max(1, min(self.bulk.texts, len(texts)))
        requests = [self.bulk.ask(texts[start : start + size]) for start in range(0, len(texts), size)]
        return asyncio.run(closed_loop(self.port, requests, _CALLERS)).seconds

    def verdicts(self, texts: Sequence[str], within_s: float = 600) -> list[tuple[str, float]]:
        """Return the label and the probability of each text.

        Raise BenchError if an answer has none, TimeoutError if they are not there in time.
        """

        async def ask() -> list[tuple[str, float]]:
            connections = Connections(self.port)
            found = []
            async with asyncio.timeout(within_s):
                for text in texts:
                    found += read_verdicts(self.dialect, await connections.send(self.dialect.ask([text])))
            connections.close()
            return found

        try:
            return asyncio.run(ask())
        except ValueError as error:
            raise BenchError(str(error)) from error


class SentiqService(Service):
    """Sentiq: single texts by `/predict`, bulk by jobs."""

    def score_bulk(self, texts: Sequence[str]) -> float:
        """Score all texts in jobs of a thousand; return the seconds."""
        return len(texts) / run_jobs(f"http://127.0.0.1:{self.port}", texts).rate


def _read_predicted(body: dict[str, str | float]) -> list[tuple[str, float]]:
    return [(str(body["sentiment"]), float(body["confidence"]))]


SENTIQ = Dialect(lambda texts: post("/predict", {"text": texts[0]}), _read_predicted)


@contextmanager
def running_sentiq(log: Log, settings: dict[str, str]) -> Iterator[SentiqService]:
    """Run the stack with these settings, beside those of load tests, for the length of the context."""
    with environ(LOAD_TEST_SETTINGS | settings), running_stack(Plan(free_port()), log) as stack:
        _wake(stack)
        pids = [process.pid for process in stack.processes]
        yield SentiqService(int(stack.url.rpartition(":")[2]), pids, SENTIQ, SENTIQ, stack.redis_url)
        stack.check()


def _wake(stack: Stack) -> None:
    with Sentiq(stack.url) as client:
        stack.await_api(client)
        stack.score(client, _FIRST)


@contextmanager
def running_peer(peer: Peer, python: Path, checkpoint: Path, log: Log) -> Iterator[Service]:
    """Run a peer for the length of the context. Raise BenchError if it does not answer a first text."""
    port = free_port()
    with Group() as group:
        processes, url = [], ""
        if peer.redis:
            server, url = start_redis(group, log=log)
            processes.append(server)
        env = _environment(peer, python, port, checkpoint, url)
        if peer.prepare:
            _prepare(peer, python, checkpoint, env)
        for command in peer.commands:
            words = [word.format(port=port, checkpoint=checkpoint) for word in command]
            processes.append(Process(peer.environment, group.popen([str(python), "-m", *words], env), log))
        service = Service(port, [process.pid for process in processes], peer.dialect, peer.bulk, url)
        try:
            _await_answer(service, processes)
            yield service
            for process in processes:
                process.check()
        finally:
            stop(processes[peer.redis :], _STOP_S)
            stop(processes[: peer.redis], _STOP_S)


def _prepare(peer: Peer, python: Path, checkpoint: Path, env: dict[str, str]) -> None:
    words = [word.format(checkpoint=checkpoint) for word in peer.prepare]
    command = [str(python), "-m", *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise BenchError(f"{peer.prepare[0]}: {lines[-1]}")


def _environment(peer: Peer, python: Path, port: int, checkpoint: Path, redis_url: str) -> dict[str, str]:
    own = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(python.parent.parent),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PEER_PORT": str(port),
        "PEER_CHECKPOINT": str(checkpoint),
        "PEER_ADVISED": str(int(bool(peer.advice))),
        "PEER_REDIS": redis_url,
    }
    return os.environ | own | dict(peer.env)


def _await_answer(service: Service, processes: Sequence[Process]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while True:
        for process in processes:
            process.check()
        try:
            # A server that still starts may take a request and never answer it.
            service.verdicts([_FIRST], within_s=_FIRST_ANSWER_S)
        except (OSError, BenchError) as error:
            if time.monotonic() > deadline:
                raise BenchError(f"no answer after {_READY_TIMEOUT_S} s: {error}") from error
            time.sleep(0.5)
        else:
            return
