"""Compare the rate of two worker containers on a core each with that of one.

The containers run in a Docker engine, and runs of one and of two alternate.
Each run starts workers of its own and waits until their children are ready and know how fast they are:
a worker that still loads its model is no second worker yet.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.base_model import int8_pack
from bench.load.end_to_end import run_jobs
from bench.program import BenchError, Program, Report, as_json
from bench.report import machine, verdict
from deploy.containers import EngineError, Project, docker, missing, run
from local.logs import Log
from local.ports import free_port
from samples.composed import composed_texts

_CORES = ("0", "1")
_READY_TIMEOUT_S = 120
_WARM_UP_TEXTS = 150  # a worker, until leases have reached their usual length
# Small chunks: a few hundred texts of a large model would be few chunks, and the last one would decide.
# No cache: both sides of a pair score the same texts.
_SETTINGS = {"SENTIMENT_CHUNK_ITEMS": "8", "SENTIMENT_CHUNK_CHARS": "512", "SENTIMENT_CACHE_ROWS": "0"}


@dataclass(frozen=True)
class _Pass:
    """One run: texts per second, cores that the workers used meanwhile, texts per CPU second."""

    rate: float
    cores: float
    per_cpu_s: float


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--pack", type=Path, help="the pack to load; StructBERT-base's shape if not given")
    parser.add_argument("--count", type=int, default=1000, help="texts in each run (%(default)s)")
    parser.add_argument("--pairs", type=int, default=6, help="pairs of runs (%(default)s)")
    parser.add_argument("--at-least", type=float, default=1.85, help="median ratio to hold (%(default)s)")


def _run(options: Namespace, _log: Log) -> Report:
    if reason := missing():
        raise BenchError(reason)
    pack = options.pack or int8_pack().directory
    with TemporaryDirectory() as folder, _project(Path(folder)) as project:
        figures = _figures(_passes(project, pack, options), pack.name)
    ratio = figures["ratio"]["median"]
    holds = ratio >= options.at_least
    bound = f"two workers against one: {ratio:.2f}x, at least {options.at_least}x: {verdict(holds)}"
    return Report(figures, f"{as_json(figures)}\n{bound}", holds)


def _passes(project: Project, pack: Path, options: Namespace) -> dict[str, list[_Pass]]:
    passes: dict[str, list[_Pass]] = {"one": [], "two": []}
    for number in range(options.pairs):
        texts = composed_texts(options.count, seed=number)
        # Each core is the single one in turn, and each side begins in turn.
        sides = [("one", [_CORES[number % 2]]), ("two", [*_CORES])]
        for name, cores in sides if number % 2 else reversed(sides):
            with _workers(project, pack, cores) as workers:
                passes[name].append(_pass(project, texts, workers))
            print(f"{name}: {passes[name][-1]}", file=sys.stderr)
    return passes


def _pass(project: Project, texts: Sequence[str], workers: Sequence[str]) -> _Pass:
    url = f"http://127.0.0.1:{project.env['PORT']}"
    run_jobs(url, composed_texts(_WARM_UP_TEXTS * len(workers), seed=-1))
    before = sum(map(_cpu_s, workers))
    done = run_jobs(url, texts)
    cpu_s = sum(map(_cpu_s, workers)) - before
    return _Pass(done.rate, cpu_s / (len(texts) / done.rate), len(texts) / cpu_s)


def _figures(passes: dict[str, list[_Pass]], pack: str) -> dict[str, Any]:
    """Return both ratios: the one per CPU second shows whether the workers had their cores to themselves."""
    pairs = list(zip(passes["one"], passes["two"], strict=True))
    return {
        **machine(()),
        "pack": pack,
        "load_average": round(os.getloadavg()[0], 1),
        "passes": {name: [asdict(each) for each in done] for name, done in passes.items()},
        "ratio": _ratios([two.rate / one.rate for one, two in pairs]),
        "ratio_per_cpu_second": _ratios([two.per_cpu_s / one.per_cpu_s for one, two in pairs]),
    }


def _ratios(ratios: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(ratios), 3),
        "each": [round(ratio, 3) for ratio in ratios],
    }


def _cpu_s(container: str) -> float:
    """Return the CPU seconds that a container has used, from control groups of version 2 or 1."""
    files = "cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null; true"
    words = docker("exec", container, "sh", "-c", files).split()
    return int(words[1]) / 1e6 if words[0] == "usage_usec" else int(words[-1]) / 1e9


@contextmanager
def _project(folder: Path) -> Iterator[Project]:
    """Build the images and run Redis, API and nginx for the length of the context."""
    (folder / "env").touch()
    env = {"TAG": "bench", "PORT": str(free_port()), "TLS_PORT": str(free_port()), **_SETTINGS}
    project = Project(f"sentiq-bench-{os.getpid()}", folder / "env", env)
    services = ("redis", "api", "nginx")
    project.compose("build", *services, "worker")
    try:
        project.compose("up", "--detach", "--no-build", *services)
        yield project
    finally:
        project.compose("down", "--volumes", "--timeout", "5")


@contextmanager
def _workers(project: Project, pack: Path, cores: Sequence[str]) -> Iterator[list[str]]:
    """Run a worker container on each of the cores; yield their ids when all are healthy."""
    workers: list[str] = []
    try:
        for core in cores:
            workers.append(_start_worker(project, pack, core))  # noqa: PERF401  removed even if the next fails
        _await_health(workers)
        yield workers
    finally:
        if workers:
            docker("rm", "--force", *workers)


def _start_worker(project: Project, pack: Path, core: str) -> str:
    settings = _SETTINGS | {"REDIS_URL": "redis://worker:local-worker@redis:6379/0"}
    env = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    pinned = ("--cpuset-cpus", core, "--read-only", "--tmpfs", "/tmp")  # noqa: S108  in a container
    mounted = ("--network", f"{project.name}_back", "--volume", f"{pack.resolve()}:/pack:ro")
    return docker("run", "--detach", *pinned, *mounted, *env, "sentiq-worker:bench")


def _await_health(workers: Sequence[str]) -> None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while not all(map(_healthy, workers)):
        if time.monotonic() > deadline:
            raise BenchError(f"the workers cannot score after {_READY_TIMEOUT_S} s")
        time.sleep(1)


def _healthy(container: str) -> bool:
    return run(["docker", "exec", container, "python", "-m", "worker.health"], check=False).returncode == 0


PROGRAM = Program(_add_arguments, _run, errors=(EngineError,))
