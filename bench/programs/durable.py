"""Measure what DURABLE=true costs: the latency and the rate of accepted jobs, by how Redis writes its log.

Callers submit jobs of one text, each the next when the last one is accepted. A stack of each kind runs on its
own, and its log is in a folder of the disk that `--folder` names.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import redis
from sentiq import Sentiq

from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import short_texts
from bench.program import BenchError, Program, Report
from bench.report import machine, version_line
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
_SETTINGS = LOAD_TEST_SETTINGS | {
    "NO_PROXY": "127.0.0.1",
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "100000",
}
# The policy of the log, and DURABLE.
_KINDS = {
    "by default": ("everysec", "false"),
    "durable, WAITAOF": ("everysec", "true"),
    "durable, appendfsync always": ("always", "true"),
}


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=2000, help="jobs of each kind (%(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="callers at the same time (%(default)s)")
    parser.add_argument("--folder", type=Path, help="where the log of Redis is (.run)")


def _run(options: Namespace, log: Log) -> Report:
    os.environ.update(_SETTINGS)
    kinds: dict[str, Any] = {}
    for kind, (fsync, durable) in _KINDS.items():
        with _redis(options.folder or make_run_directory(), fsync, log) as (url, info):
            server = server_name(info)
            if kind == "durable, WAITAOF" and not waits_for_disk(info):
                kinds[kind] = (
                    "skipped: the WAITAOF of this server is missing, or answers before the disk does"
                )
                continue
            with _stack(url, durable, log) as stack:
                kinds[kind] = _measure(stack.url, options.jobs, options.callers)
    figures = machine(_PACKAGES) | {
        "load_average": os.getloadavg(),
        "server": server,
        "jobs": options.jobs,
        "callers": options.callers,
        "kinds": kinds,
    }
    return Report(figures, _summary(figures))


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
    try:
        with running_stack(Plan(free_port(), redis_url=url), log) as stack, Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
            yield stack
    finally:
        del os.environ["DURABLE"]


def _measure(url: str, jobs: int, callers: int) -> dict[str, float]:
    """Return the rate of accepted jobs, and the time until the answer in milliseconds."""
    with (
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor(callers) as pool,
    ):

        def accepted_ms(text: str) -> float:
            began = time.perf_counter()
            answer = http.post("/v1/jobs", json={"text": text})
            if answer.status_code != _ACCEPTED:
                raise BenchError(f"a job got {answer.status_code}: {answer.text}")
            return (time.perf_counter() - began) * 1000

        list(pool.map(accepted_ms, short_texts(_WARM_UP_JOBS)))
        began = time.perf_counter()
        times = sorted(pool.map(accepted_ms, short_texts(jobs, _WARM_UP_JOBS)))
        taken_s = time.perf_counter() - began
    return {
        "jobs_per_s": jobs / taken_s,
        "p50_ms": statistics.median(times),
        "p99_ms": times[int(0.99 * (len(times) - 1))],
    }


def _summary(figures: dict[str, Any]) -> str:
    rows = [f"{'':28} {'jobs/s':>8} {'p50 ms':>8} {'p99 ms':>8}"]
    for kind, measured in figures["kinds"].items():
        cells = (
            measured
            if isinstance(measured, str)
            else f"{measured['jobs_per_s']:8.0f} {measured['p50_ms']:8.1f} {measured['p99_ms']:8.1f}"
        )
        rows.append(f"{kind:28} {cells}")
    head = (
        f"{figures['processor']}, {figures['cores']} cores, {figures['server']}, {figures['callers']} callers"
    )
    return "\n".join([head, version_line(figures["versions"]), "", *rows])


PROGRAM = Program(_add_arguments, _run)
