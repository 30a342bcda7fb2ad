"""`make bench-scale`: two worker containers, pinned to one core each, against one; interleaved in one run.

Each run gets workers of its own, which are measured when their children are ready and know how fast they are:
a worker that still loads its model is no second worker yet.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.base import int8_pack
from bench.load.end_to_end import IncompleteError, run_jobs
from bench.report import machine
from deploy.containers import EngineError, Project, docker, missing, run
from local.ports import free_port
from samples.composed import composed_texts

_CORES = ("0", "1")
_PATIENCE_S = 120
_WARM_UP = 150  # texts a worker, until leases are as long as they should be
# A few hundred texts of a large model are few chunks of the usual size: the worker of the last would decide.
# And both sides of a pair score the same texts: none may remember them.
_SETTINGS = {"SENTIMENT_CHUNK_ITEMS": "8", "SENTIMENT_CHUNK_CHARS": "512", "SENTIMENT_CACHE_ROWS": "0"}


@dataclass(frozen=True)
class _Pass:
    """Texts a second, how many cores the workers got while they were scored, texts a second of processor."""

    rate: float
    cores: float
    per_cpu_s: float


def main() -> int:
    """Measure, print, and write the figures as JSON where asked."""
    options = _options()
    try:
        report = _measure(options)
    except (EngineError, IncompleteError) as error:
        print(error, file=sys.stderr)
        return 1
    told = json.dumps(report, ensure_ascii=False, indent=2)
    print(told)
    if options.json:
        options.json.write_text(told + "\n", "utf-8")
    if report["ratio"]["median"] < options.at_least:
        print(f"the median ratio is below {options.at_least}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--pack", type=Path, help="StructBERT-base's shape if not given")
    parser.add_argument("--count", type=int, default=1000, help="texts in each run (%(default)s)")
    parser.add_argument("--pairs", type=int, default=6, help="pairs of runs (%(default)s)")
    parser.add_argument("--at-least", type=float, default=1.85, help="median ratio to hold (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    if reason := missing():
        raise EngineError(reason)
    pack = options.pack or int8_pack().directory
    with TemporaryDirectory() as folder, _project(Path(folder)) as project:
        passes: dict[str, list[_Pass]] = {"one": [], "two": []}
        for number in range(options.pairs):
            texts = composed_texts(options.count, seed=number)
            # Each core is the single one in turn, and each side begins in turn.
            sides = [("one", [_CORES[number % 2]]), ("two", [*_CORES])]
            for name, cores in sides if number % 2 else reversed(sides):
                with _workers(project, pack, cores) as workers:
                    passes[name].append(_pass(project, texts, workers))
                print(f"{name}: {passes[name][-1]}", file=sys.stderr)
        return _figures(passes, pack.name)


def _pass(project: Project, texts: Sequence[str], workers: Sequence[str]) -> _Pass:
    url = f"http://127.0.0.1:{project.env['PORT']}"
    run_jobs(url, composed_texts(_WARM_UP * len(workers), seed=-1))
    before = sum(map(_cpu_s, workers))
    made = run_jobs(url, texts)
    spent = sum(map(_cpu_s, workers)) - before
    return _Pass(made.rate, spent / (len(texts) / made.rate), len(texts) / spent)


def _figures(passes: dict[str, list[_Pass]], pack: str) -> dict[str, Any]:
    """The ratio, and beside it what tells whether the workers had the cores that they are pinned to."""
    pairs = list(zip(passes["one"], passes["two"], strict=True))
    return {
        **machine(()),
        "pack": pack,
        "load_average": round(os.getloadavg()[0], 1),
        "passes": {name: [asdict(each) for each in made] for name, made in passes.items()},
        "ratio": _spread([two.rate / one.rate for one, two in pairs]),
        "ratio_per_cpu_second": _spread([two.per_cpu_s / one.per_cpu_s for one, two in pairs]),
    }


def _spread(ratios: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(ratios), 3),
        "each": [round(ratio, 3) for ratio in ratios],
    }


def _cpu_s(container: str) -> float:
    """Seconds of processor that a container used; told by control groups of either kind."""
    files = "cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null; true"
    told = docker("exec", container, "sh", "-c", files).split()
    return int(told[1]) / 1e6 if told[0] == "usage_usec" else int(told[-1]) / 1e9


@contextmanager
def _project(folder: Path) -> Iterator[Project]:
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
    """A worker of the image on each of the cores, when all can score; their ids."""
    made: list[str] = []
    url = "REDIS_URL=redis://worker:local-worker@redis:6379/0"
    env = [part for name, value in _SETTINGS.items() for part in ("--env", f"{name}={value}")]
    pack_there = f"{pack.resolve()}:/pack:ro"
    common = ("--network", f"{project.name}_back", *env, "--env", url, "--volume", pack_there)
    try:
        for core in cores:
            options = ("--cpuset-cpus", core, "--read-only", "--tmpfs", "/tmp")  # noqa: S108  in a container
            made.append(docker("run", "--detach", *options, *common, "sentiq-worker:bench"))
        _await(lambda: all(map(_can_score, made)))
        yield made
    finally:
        if made:
            docker("rm", "--force", *made)


def _can_score(container: str) -> bool:
    return run(["docker", "exec", container, "python", "-m", "worker.health"], check=False).returncode == 0


def _await(look: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not look():
        if time.monotonic() > end:
            raise EngineError(f"the workers cannot score after {_PATIENCE_S} s")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
