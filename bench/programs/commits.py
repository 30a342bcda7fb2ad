"""Compare the service of this tree with that of an earlier commit.

Both run at once, each from its own tree with its own Redis and worker, and take turns under load: the same
texts in bulk, then as jobs of one text. The ratios are of this tree to the commit, round by round.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from bench.load.end_to_end import run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import run_single_jobs
from bench.program import BenchError, Program, Report
from bench.report import environment, spread, verdict
from bench.trees import THIS_TREE, trees
from bench.usage import CpuMeter
from local.logs import Log
from local.ports import free_port
from samples.composed import composed_texts

_STARTS_WITHIN_S = 120
_SCORED_WITHIN_S = 5
_STOPS_WITHIN_S = 30
_WARM_UP_TEXTS = 2000
_CHANGE = 0.03

Measured = dict[str, dict[str, list[float]]]  # by measure, then by tree


@dataclass(frozen=True)
class _Service:
    url: str
    process: subprocess.Popen[bytes]

    @property
    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--against", metavar="COMMIT", required=True, help="the earlier commit")
    parser.add_argument(
        "--pack",
        type=Path,
        help="directory of the pack that this tree serves, if that of the commit has other weights",
    )
    parser.add_argument("--count", type=int, default=5000, help="texts of a round in bulk (%(default)s)")
    parser.add_argument("--singles", type=int, default=1000, help="jobs of one text in a round (%(default)s)")
    parser.add_argument("--callers", type=int, default=8, help="of those, at a time (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the texts (%(default)s)")


def _run(options: Namespace, _: Log) -> Report:
    measured: Measured = defaultdict(lambda: defaultdict(list))
    with trees(options.against) as paths, ExitStack() as running:
        pack = {"SENTIMENT_PACK": str(options.pack.resolve())} if options.pack else {}
        services = {
            name: running.enter_context(_running(path, pack if name == THIS_TREE else {}))
            for name, path in paths.items()
        }
        for service in services.values():
            _load(service, composed_texts(_WARM_UP_TEXTS, seed=0), options)
        for number in range(options.rounds):
            texts = composed_texts(options.count, options.seed + number)
            # Each is the first in every other round.
            for name in sorted(services, reverse=bool(number % 2)):
                for measure, value in _load(services[name], texts, options).items():
                    measured[measure][name].append(value)
            print(f"round {number + 1} of {options.rounds}", flush=True)
    ratios = {measure: _ratios(values) for measure, values in measured.items()}
    figures = environment() | {
        "against": options.against,
        "measured": {
            measure: {name: spread(each) for name, each in values.items()}
            for measure, values in measured.items()
        },
        "ratios": {measure: spread(values) for measure, values in ratios.items()},
    }
    return Report(figures, _summary(figures), all(_holds(*each) for each in figures["ratios"].items()))


@contextmanager
def _running(tree: Path, settings: Mapping[str, str]) -> Iterator[_Service]:
    port, flower_port = free_port(), free_port()
    paths = os.pathsep.join(map(str, (tree, tree / "client")))
    own = {"PYTHONPATH": paths, "PORT": str(port), "FLOWER_PORT": str(flower_port)}
    env = os.environ | LOAD_TEST_SETTINGS | dict(settings) | own
    command = [sys.executable, "-m", "local.up"]
    with subprocess.Popen(command, cwd=tree, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            service = _Service(f"http://127.0.0.1:{port}", process)
            _await(service)
            yield service
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()  # what it started ends with it


def _await(service: _Service) -> None:
    """Wait until a text is scored: `/readyz` answers before the first worker has read its pack."""
    end = time.monotonic() + _STARTS_WITHIN_S
    while service.process.poll() is None and time.monotonic() < end:
        with suppress(httpx2.TransportError):
            if httpx2.post(
                f"{service.url}/predict", json={"text": "好"}, timeout=_SCORED_WITHIN_S
            ).is_success:
                return
        time.sleep(0.1)
    ended = service.process.poll()
    why = f"scored nothing in {_STARTS_WITHIN_S} s" if ended is None else f"ended with exit code {ended}"
    raise BenchError(f"{service.process.args!r} in its tree: it {why}")


def _load(service: _Service, texts: Sequence[str], options: Namespace) -> dict[str, float]:
    """Return the rates, and the CPU seconds of the service per 1,000 texts, in bulk and as single jobs."""
    single = [f"{text}。" for text in texts[: options.singles]]  # other texts than those in bulk
    bulk_meter, single_meter = (CpuMeter({"service": service.processes}) for _ in range(2))
    with bulk_meter:
        bulk_rate = run_jobs(service.url, texts).rate
    began = time.monotonic()
    with single_meter:
        run_single_jobs(service.url, single, options.callers)
    return {
        "bulk, texts/s": bulk_rate,
        "bulk, CPU s / 1,000 texts": bulk_meter.per_1000(len(texts))["service"],
        "singles, texts/s": len(single) / (time.monotonic() - began),
        "singles, CPU s / 1,000 texts": single_meter.per_1000(len(single))["service"],
    }


def _ratios(values: Mapping[str, Sequence[float]]) -> list[float]:
    (commit,) = values.keys() - {THIS_TREE}
    return [mine / other for mine, other in zip(values[THIS_TREE], values[commit], strict=True)]


def _holds(measure: str, ratio: Mapping[str, float]) -> bool:
    """Return whether this tree is at most 3 % worse."""
    worse = 1 / ratio["median"] if measure.endswith("texts/s") else ratio["median"]
    return worse <= 1 + _CHANGE


def _summary(figures: dict[str, Any]) -> str:
    lines = [f"this tree over {figures['against']}, median of the rounds (smallest to largest)"]
    for measure, ratio in figures["ratios"].items():
        medians = {name: values["median"] for name, values in figures["measured"][measure].items()}
        mine, other = medians.pop(THIS_TREE), *medians.values()
        lines.append(
            f"{measure:30} {ratio['median']:6.3f} ({ratio['min']:.3f} to {ratio['max']:.3f})"
            f"  {mine:.2f} against {other:.2f}; at most 3 % worse: {verdict(_holds(measure, ratio))}"
        )
    return "\n".join(lines)


PROGRAM = Program(_add_arguments, _run)
