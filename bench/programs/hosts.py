"""Compare two workers in network namespaces of their own with one, over links of several delays.

API and Redis run in this machine's own namespace. Each worker has one child, on a core that nothing else is
kept from. Runs of one and of two alternate, and each starts its workers anew.
"""

from __future__ import annotations

import io
import os
import secrets
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentiq import Sentiq

from bench.environ import environ
from bench.hosts.reporting import draw_rates, page
from bench.load.end_to_end import run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.program import BenchError, Program, Report
from bench.report import environment
from bench.writing import add_out_argument, write_report
from local.logs import Log
from local.ports import free_port
from local.processes import Group, Process, stop
from local.redis_server import start_redis
from local.stack import ROLES
from local.wires import HERE, Wire, Wires, lacking, wired
from samples.composed import composed_texts

_READY_S = 120
_STOP_S = 15
_WARM_UP_TEXTS = 300
_WORKERS = ("worker_1", "worker_2")
# Small chunks: of few texts of a large model, the last chunk would decide.
_SETTINGS = LOAD_TEST_SETTINGS | {
    "AUTH": "none",
    "SENTIMENT_CHUNK_ITEMS": "8",
    "SENTIMENT_CHUNK_CHARS": "512",
    "SENTIMENT_CONCURRENCY": "1",
}


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--pack", type=Path, help="the pack to serve; the configured one if not given")
    parser.add_argument("--count", type=int, default=3000, help="texts in each run (%(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs for each delay (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the texts (%(default)s)")
    delays = (0.0, 1.0, 10.0)
    parser.add_argument("--delays", type=float, nargs="+", default=delays, help="round trips, ms (0 1 10)")
    add_out_argument(parser)


def _run(options: Namespace, log: Log) -> Report:
    pack = {"SENTIMENT_PACK": str(options.pack.resolve())} if options.pack else {}
    if lack := lacking():
        raise BenchError(lack)
    with environ(_SETTINGS | pack), wired(*_WORKERS) as wires:
        circumstance = environment()
        with _api(log, wires.addresses[HERE]) as (url, redis_url):
            rates = {delay: _rates(wires, url, redis_url, delay, options) for delay in options.delays}
    figures = {
        **circumstance,
        "seed": options.seed,
        "rates": {f"{delay:g}": _figures(done) for delay, done in rates.items()},
    }
    written = write_report(options.out, "hosts", figures, page(figures), {"hosts": draw_rates(figures)})
    return Report(figures, "\n".join(map(str, written)))


@contextmanager
def _api(log: Log, address: str) -> Iterator[tuple[str, str]]:
    """Run the API, and Redis at an address that the hosts reach; yield the URLs of both."""
    with Group() as group:
        redis, redis_url = start_redis(group, log=log, password=secrets.token_hex(16), listen=address)
        port = free_port()
        env = os.environ | {"REDIS_URL": redis_url, "PORT": str(port), "SENTIMENT_HOST": "127.0.0.1"}
        api = Process("api", group.popen([sys.executable, "-m", *ROLES["api"]], env), log)
        url = f"http://127.0.0.1:{port}"
        with Sentiq(url) as client:
            _await(client.ready, (redis, api), "the API")
        yield url, redis_url
        api.check()
        stop([api], _STOP_S)
        stop([redis], _STOP_S)


def _await(ready: Any, processes: Sequence[Process], what: str) -> None:
    deadline = time.monotonic() + _READY_S
    while not ready():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{what} is not ready after {_READY_S} s")
        time.sleep(0.1)


def _rates(
    wires: Wires, url: str, redis_url: str, delay_ms: float, options: Namespace
) -> list[tuple[float, float]]:
    """Return the texts per second of one worker and of two, in each pair of runs."""
    # Half of a round trip in each direction.
    wires.set(Wire(delay_s=(delay_ms / 2000, delay_ms / 2000)))
    rates = []
    for number in range(options.pairs):
        texts = composed_texts(options.count, options.seed + number)
        # Each host is the single one in turn, and each side begins in turn.
        sides = {"one": [_WORKERS[number % 2]], "two": [*_WORKERS]}
        found: dict[str, float] = {}
        for name in ("one", "two") if number % 2 else ("two", "one"):
            with _workers(wires, sides[name], redis_url):
                run_jobs(url, composed_texts(_WARM_UP_TEXTS, -1))
                found[name] = run_jobs(url, texts).rate
        rates.append((found["one"], found["two"]))
        print(f"{delay_ms:g} ms: one {found['one']:.3g}, two {found['two']:.3g} texts/s", flush=True)
    return rates


@contextmanager
def _workers(wires: Wires, names: Sequence[str], redis_url: str) -> Iterator[None]:
    """Run a worker on each host, pinned to a core of its own, until their children are ready."""
    cores = sorted(os.sched_getaffinity(0))
    with Group() as group:
        outputs, workers = [], []
        for number, name in enumerate(names):
            command = ("taskset", "-c", str(cores[number % len(cores)]), sys.executable, "-m", "worker")
            outputs.append(io.StringIO())
            variables = os.environ | {"REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}
            popen = group.popen(wires.command(name, command), variables)
            workers.append(Process("worker", popen, Log(outputs[-1])))
        _await(lambda: all("child ready" in each.getvalue() for each in outputs), workers, "a worker")
        yield
        for worker in workers:
            worker.check()
        stop(workers, _STOP_S)


def _figures(rates: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ratios = [two / one for one, two in rates]
    return {
        "one_per_s": statistics.median(one for one, _ in rates),
        "two_per_s": statistics.median(two for _, two in rates),
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
    }


PROGRAM = Program(_add_arguments, _run)
