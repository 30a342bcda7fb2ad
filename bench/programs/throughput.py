"""Compare the rate of the whole service with that of the engine alone.

Runs of both alternate, on new texts for each pair.
The report also shows the CPU time and the memory of each part of the service.
"""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

import psutil
from sentiq import Sentiq

from bench.load.end_to_end import JOB_ITEMS, Run, run_jobs
from bench.load.offline import Offline
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.program import Program, Report
from bench.report import environment, heading, spread
from bench.texts import add_text_arguments, statistics_of, texts_name, texts_of_round
from bench.usage import CpuMeter, parts_of, peak_mb
from local.logs import Log
from local.ports import free_port
from local.run_directory import RUN
from local.stack import Plan, Stack, running_stack
from samples.composed import composed_texts

_WARM_UP_TEXTS = 2000


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=5000, seed=20260101)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    os.environ.update(LOAD_TEST_SETTINGS)
    corpora = [texts_of_round(options, pair) for pair in range(options.pairs)]
    print("starting the stack and one engine a core", flush=True)
    with Offline() as offline, running_stack(Plan(free_port()), log) as stack:
        _warm_up(stack, offline, min(options.count, _WARM_UP_TEXTS))
        parts = parts_of(stack)
        engines = CpuMeter({"offline engines": [psutil.Process(pid) for pid in offline.pids]})
        service = CpuMeter(parts)
        pairs = [_pair(texts, stack, offline, engines, service) for texts in corpora]
        scored = sum(map(len, corpora))
        figures = {
            **environment(),
            "texts": texts_name(options),
            "text_chars": statistics_of(corpora[0]),
            **_rates(pairs),
            "cpu_seconds_per_1000": engines.per_1000(scored) | service.per_1000(scored),
            "peak_mb": peak_mb(engines.parts | parts),
            "children_ready_s": _children_ready(),
        }
    return Report(figures, _summary(figures))


def _warm_up(stack: Stack, offline: Offline, count: int) -> None:
    """Load everything and meet every tensor shape before anything is measured."""
    texts = composed_texts(count, seed=0)
    with Sentiq(stack.url) as client:
        stack.await_api(client)
    offline.rate(texts)
    run_jobs(stack.url, texts)


def _pair(
    texts: list[str], stack: Stack, offline: Offline, engines: CpuMeter, service: CpuMeter
) -> tuple[float, Run]:
    with engines:
        offline_rate = offline.rate(texts)
    with service:
        run = run_jobs(stack.url, texts)
    stack.check()
    print(f"offline {offline_rate:6.0f}  end to end {run.rate:6.0f} texts/s", flush=True)
    return offline_rate, run


def _rates(pairs: Sequence[tuple[float, Run]]) -> dict[str, Any]:
    """Return the figures of pairs of offline rate and end-to-end run; the share is taken pair by pair."""
    waits = sorted(wait for _, run in pairs for wait in run.waits)
    return {
        "offline_rate": spread([offline_rate for offline_rate, _ in pairs]),
        "end_to_end_rate": spread([run.rate for _, run in pairs]),
        "share_of_offline": spread([run.rate / offline_rate for offline_rate, run in pairs]),
        "submit_to_result_s": {"p50": waits[len(waits) // 2], "p95": waits[int(len(waits) * 0.95)]},
    }


def _children_ready() -> list[float]:
    """Return the seconds from each child's fork to its warm model, as the worker logged them."""
    log = (RUN / "bench-throughput.log").read_text("utf-8")
    return [float(seconds) for seconds in re.findall(r"child ready after ([\d.]+) s", log)]


def _summary(figures: dict[str, Any]) -> str:
    share, waits = figures["share_of_offline"], figures["submit_to_result_s"]
    return f"""
{heading(figures)}

{"offline":12}{_rate_line(figures["offline_rate"])}
{"end to end":12}{_rate_line(figures["end_to_end_rate"])}
{"share":12}{share["median"]:8.2f}          ({share["min"]:.2f} to {share["max"]:.2f}, pair by pair)
{JOB_ITEMS} texts, submit to results read: p50 {waits["p50"]:.2f} s, p95 {waits["p95"]:.2f} s
children ready after {", ".join(f"{seconds:.2f} s" for seconds in figures["children_ready_s"])}

{"":18}{"CPU s / 1,000 texts":>20}   peak MiB by process
{_usage_lines(figures)}"""


def _rate_line(rate: dict[str, float]) -> str:
    return f"{rate['median']:8.0f} texts/s  ({rate['min']:.0f} to {rate['max']:.0f})"


def _usage_lines(figures: dict[str, Any]) -> str:
    return "\n".join(
        f"{part:18}{seconds:20.3f}   {', '.join(map(str, figures['peak_mb'][part]))}"
        for part, seconds in figures["cpu_seconds_per_1000"].items()
    )


PROGRAM = Program(_add_arguments, _run)
