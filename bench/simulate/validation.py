"""Compare the simulation with runs of the service that the calibration has not seen.

One worker child has a core of its own, and all else has the others. Two runs: Redis behind a link of 10 ms,
and twice the capacity. Each is simulated with the deployment that really ran.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from sentiq import Sentiq

from bench.environ import environ
from bench.load.arrivals import poisson_times
from bench.load.callers import Load, closed_loop, open_loop, post
from bench.load.end_to_end import run_jobs
from bench.load.slow_link import slow_link
from bench.simulate.calibration import UNLIMITED
from bench.simulate.deployment import Deployment
from bench.simulate.loads import Run, run_closed, run_open
from bench.simulate.parts import Parts
from local.logs import Log
from local.ports import free_port
from local.redis_server import redis_server
from local.stack import Plan, Stack, running_stack
from samples.composed import composed_texts

TOLERANCE = 0.15
RTT_S = 0.01
OVERLOAD = 2.0
JOB_TEXTS = 64
_CALLERS = 32
_ONE_CHILD = {"SENTIMENT_CONCURRENCY": "1", "SENTIMENT_CORES": "1"}


@dataclass(frozen=True)
class Check:
    """A figure that was measured, and what the simulation says of it."""

    what: str
    measured: float
    simulated: float

    @property
    def deviation(self) -> float:
        """Return by which share the simulation is off."""
        return self.simulated / self.measured - 1

    @property
    def holds(self) -> bool:
        """Return whether that is within the tolerance."""
        return abs(self.deviation) <= TOLERANCE


def validate(parts: Parts, options: Namespace, log: Log) -> list[Check]:
    """Run the service twice, simulate both runs, and return the comparisons."""
    with _service(options, log, RTT_S) as stack:
        far = _closed(stack, options)
    print(f"behind a link of {RTT_S * 1000:g} ms: {far:.3g} texts/s", flush=True)
    with _service(options, log, 0) as stack:
        capacity = _closed(stack, options)
        jobs_per_s = OVERLOAD * capacity / JOB_TEXTS
        load = _open(stack, jobs_per_s, options)
    print(f"capacity {capacity:.3g} texts/s; twice of it: {len(load.latencies_s)} jobs", flush=True)
    return [*_far_checks(parts, far, options), *_overload_checks(parts, load, jobs_per_s, options)]


def _far_checks(parts: Parts, measured: float, options: Namespace) -> Iterator[Check]:
    deployment = Deployment(1, rtt_s=RTT_S, children_a_worker=1)
    seconds = 4 * options.seconds
    seen = run_closed(parts, deployment, Run(JOB_TEXTS, seconds, options.seed), _CALLERS)
    rate = seen.rate(seconds / 4, seconds)
    yield Check(f"texts/s, Redis {RTT_S * 1000:g} ms away", measured, rate)


def _overload_checks(parts: Parts, load: Load, jobs_per_s: float, options: Namespace) -> Iterator[Check]:
    jobs = len(load.latencies_s)
    seconds = jobs / jobs_per_s
    # The simulation goes on until the last job of those seconds is done.
    seen = run_open(parts, Deployment(1, children_a_worker=1), _long(seconds, options), jobs_per_s)
    latencies = seen.latencies(0, seconds)
    ends = [when + took for when, took in seen.jobs if when < seconds]
    yield Check(
        "texts/s at twice the capacity", jobs * JOB_TEXTS / load.seconds, len(ends) * JOB_TEXTS / max(ends)
    )
    yield Check(
        "median seconds of a job at twice the capacity",
        statistics.median(load.latencies_s),
        statistics.median(latencies),
    )


def _long(seconds: float, options: Namespace) -> Run:
    return Run(JOB_TEXTS, seconds * (OVERLOAD + 2), options.seed)


@contextmanager
def _service(options: Namespace, log: Log, rtt_s: float) -> Iterator[Stack]:
    """Run the stack with one child on the first core, and Redis behind a link."""
    pack = {"SENTIMENT_PACK": str(options.pack.resolve())} if options.pack else {}
    with (
        environ(UNLIMITED | _ONE_CHILD | pack),
        redis_server() as url,
        _link(url, rtt_s) as far,
        running_stack(Plan(free_port(), redis_url=far), log) as stack,
    ):
        with Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
        _apart(stack)
        run_jobs(stack.url, composed_texts(options.texts, options.seed))  # the warm-up
        yield stack
        stack.check()


@contextmanager
def _link(url: str, rtt_s: float) -> Iterator[str]:
    if not rtt_s:
        yield url
        return
    port = int(url.rpartition(":")[2].partition("/")[0])
    with slow_link(port, rtt_s / 2) as far:
        yield url.replace(f":{port}/", f":{far}/")


def _apart(stack: Stack) -> None:
    """Keep all processes but the worker's children away from the first core, where the child is."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        return
    for process in stack.processes:
        top = psutil.Process(process.pid)
        for each in (top, *(top.children(recursive=True) if process.name != "worker" else ())):
            each.cpu_affinity(others)
    for child in _children(stack):
        child.cpu_affinity([first])


def _children(stack: Stack) -> list[psutil.Process]:
    (worker,) = (psutil.Process(process.pid) for process in stack.processes if process.name == "worker")
    return worker.children(recursive=True)


def _requests(count: int, seed: int) -> list[bytes]:
    texts = composed_texts(count * JOB_TEXTS, seed)
    parts = (texts[start : start + JOB_TEXTS] for start in range(0, len(texts), JOB_TEXTS))
    return [
        post("/v1/jobs", {"items": [{"text": text} for text in part]}, ["prefer: wait=60"]) for part in parts
    ]


def _closed(stack: Stack, options: Namespace) -> float:
    """Return the texts per second of callers who wait for their jobs, for some time."""
    port = int(stack.url.rpartition(":")[2])
    return _until(
        lambda count: asyncio.run(closed_loop(port, _requests(count, count), _CALLERS)), options.seconds
    )


def _until(run: Callable[[int], Load], seconds: float) -> float:
    count = 2 * _CALLERS
    while True:
        load = run(count)
        if load.seconds > seconds / 2:
            return count * JOB_TEXTS / load.seconds
        count = round(count * min(4, 1.2 * seconds / load.seconds))


def _open(stack: Stack, jobs_per_s: float, options: Namespace) -> Load:
    times = poisson_times(jobs_per_s, options.seconds, options.seed)
    port = int(stack.url.rpartition(":")[2])
    return asyncio.run(open_loop(port, _requests(len(times), options.seed), times))
