"""Measure what DURABLE=true costs: the latency and the rate of accepted jobs, by how Redis writes its log.

Callers submit jobs of one text, each the next when the last one is accepted. Stacks of all kinds run, with
their logs in a folder of the disk that `--folder` names, and take turns. Ratios are to the default in the
same round.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import redis
from sentiq import Sentiq

from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import short_texts
from bench.program import BenchError, Program, Report
from bench.report import machine, spread, version_line
from local.logs import Log
from local.ports import free_port
from local.processes import Group, stop
from local.redis_server import start_redis
from local.run_directory import make_run_directory
from local.stack import Plan, Stack, running_stack
from tasks.store.durability import server_name, waits_for_disk

_PACKAGES = ("flask", "gunicorn", "gevent", "redis")
_ACCEPTED = 202
_WARM_UP_JOBS = 50
_STOP_S = 10
_ALL_END_WITHIN_S, _POLL_S = 120, 0.1
_SHOWN = {"jobs_per_s": 0, "p50_ms": 1, "p99_ms": 1}  # with their decimals
_SETTINGS = LOAD_TEST_SETTINGS | {
    "NO_PROXY": "127.0.0.1",
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "100000",
}
_DEFAULT, _WAITAOF = "by default", "durable, WAITAOF"
# The policy of the log, and DURABLE.
_KINDS = {
    _DEFAULT: ("everysec", "false"),
    _WAITAOF: ("everysec", "true"),
    "durable, appendfsync always": ("always", "true"),
}

Measured = dict[str, float]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=500, help="jobs of each kind in a round (%(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="callers at the same time (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--folder", type=Path, help="where the log of Redis is (.run)")


def _run(options: Namespace, log: Log) -> Report:
    os.environ.update(_SETTINGS)
    folder = options.folder or make_run_directory()
    stacks: dict[str, Stack] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as running:
        for kind, (fsync, durable) in _KINDS.items():
            url, info = running.enter_context(_redis(folder, fsync, log))
            if kind == _WAITAOF and not waits_for_disk(info):
                skipped[kind] = "skipped: the WAITAOF of this server is missing, or answers before the disk"
            else:
                stacks[kind] = running.enter_context(_stack(url, durable, log))
        rounds = _rounds(stacks, options)
    figures = machine(_PACKAGES) | {
        "load_average": os.getloadavg(),
        "server": server_name(info),
        "jobs": options.jobs,
        "callers": options.callers,
        "rounds": options.rounds,
        "kinds": {kind: _kind(measured, rounds[_DEFAULT]) for kind, measured in rounds.items()} | skipped,
    }
    return Report(figures, _summary(figures))


def _rounds(stacks: Mapping[str, Stack], options: Namespace) -> dict[str, list[Measured]]:
    """Measure all kinds in each round, so that the ratios of a round are of the same minute."""
    rounds: dict[str, list[Measured]] = {kind: [] for kind in stacks}
    for number in range(options.rounds):
        # In the other order in every other round.
        for kind in sorted(stacks, reverse=bool(number % 2)):
            rounds[kind].append(_measure(stacks[kind].url, number, options))
        print(f"round {number + 1} of {options.rounds}", flush=True)
    return rounds


def _kind(measured: list[Measured], default: list[Measured]) -> dict[str, Any]:
    """Return the medians of all rounds, and the ratios to the default in the same round."""
    return {name: statistics.median(each[name] for each in measured) for name in measured[0]} | {
        "ratios": {
            name: spread([mine[name] / other[name] for mine, other in zip(measured, default, strict=True)])
            for name in measured[0]
        }
    }


@contextmanager
def _redis(folder: Path, fsync: str, log: Log) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Run a Redis with a log of its own; give its URL and what it says of itself."""
    with tempfile.TemporaryDirectory(dir=folder) as data, Group() as group:
        server, url = start_redis(group, data_dir=Path(data), log=log)
        client: Any = redis.Redis.from_url(url)
        client.config_set("appendfsync", fsync)
        yield url, client.info("server")
        stop([server], _STOP_S)


@contextmanager
def _stack(url: str, durable: str, log: Log) -> Iterator[Stack]:
    os.environ["DURABLE"] = durable
    with running_stack(Plan(free_port(), redis_url=url), log) as stack, Sentiq(stack.url) as client:
        stack.await_api(client)
        stack.score(client, "等它醒来")
        yield stack


def _measure(url: str, number: int, options: Namespace) -> Measured:
    """Return the rate of accepted jobs, and the time until the answer in milliseconds; then let all end."""
    first = number * (options.jobs + _WARM_UP_JOBS)
    with (
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(options.callers) as pool,
    ):

        def accepted_ms(text: str) -> float:
            began = time.perf_counter()
            answer = http.post("/v1/jobs", json={"text": text})
            if answer.status_code != _ACCEPTED:
                raise BenchError(f"a job got {answer.status_code}: {answer.text}")
            return (time.perf_counter() - began) * 1000

        list(pool.map(accepted_ms, short_texts(_WARM_UP_JOBS, first)))
        began = time.perf_counter()
        times = sorted(pool.map(accepted_ms, short_texts(options.jobs, first + _WARM_UP_JOBS)))
        taken_s = time.perf_counter() - began
        # The texts are scored behind the answers: the next kind must not share the machine with that.
        _await_all(http)
    return {
        "jobs_per_s": options.jobs / taken_s,
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(0.99 * (len(times) - 1))],
    }


def _await_all(http: httpx2.Client) -> None:
    end = time.monotonic() + _ALL_END_WITHIN_S
    while any(each["pending_items"] for each in http.get("/v1/queue").json()["classes"].values()):
        if time.monotonic() > end:
            raise BenchError(f"jobs still wait {_ALL_END_WITHIN_S} s after the last one was accepted")
        time.sleep(_POLL_S)


def _summary(figures: dict[str, Any]) -> str:
    rows = [f"{'':28} {'jobs/s':>8} {'p50 ms':>8} {'p99 ms':>8}   jobs/s, p50: ratios (lowest to highest)"]
    for kind, measured in figures["kinds"].items():
        rows.append(f"{kind:28} {measured if isinstance(measured, str) else _cells(measured)}")
    head = (
        f"{figures['processor']}, {figures['cores']} cores, load {figures['load_average'][1]:.0f}, "
        f"{figures['server']}, {figures['callers']} callers, "
        f"{figures['rounds']} rounds of {figures['jobs']} jobs"
    )
    return "\n".join([head, version_line(figures["versions"]), "", *rows])


def _cells(measured: dict[str, Any]) -> str:
    ratios = (measured["ratios"][name] for name in ("jobs_per_s", "p50_ms"))
    told = ", ".join(f"{each['median']:.2f} ({each['min']:.2f} to {each['max']:.2f})" for each in ratios)
    cells = " ".join(f"{measured[name]:8.{digits}f}" for name, digits in _SHOWN.items())
    return f"{cells}   {told}"


PROGRAM = Program(_add_arguments, _run)
