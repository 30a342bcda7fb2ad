"""Compare the CPU time of jobs of one text with tracing off, on, and sampled at 1 %.

A stack of each kind runs all the time, and rounds of jobs go to them in turn. A collector in this process
drops what they export.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from sentiq import Sentiq

from bench.load.collector import dropping_collector
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import run_single_jobs, short_texts
from bench.program import Program, Report
from bench.report import machine, spread, version_line
from bench.usage import CpuMeter, Parts, parts_of
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, Stack, running_stack

_PACKAGES = ("flask", "gunicorn", "gevent", "redis", "celery", "opentelemetry-sdk")
_PARTS = ("api", "redis", "worker parent", "worker children")
_WARM_UP_JOBS = 200

Figures = dict[str, dict[str, list[float]]]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=1000, help="jobs of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    os.environ.update(LOAD_TEST_SETTINGS | {"NO_PROXY": "127.0.0.1"})
    with ExitStack() as running:
        stacks = {
            kind: running.enter_context(_stack(variables, log))
            for kind, variables in _kinds(running.enter_context(dropping_collector())).items()
        }
        for stack in stacks.values():
            run_single_jobs(stack.url, short_texts(min(options.jobs, _WARM_UP_JOBS)))
        seconds = _measure(stacks, options)
    figures = machine(_PACKAGES) | {
        "load_average": os.getloadavg(),
        "jobs": options.jobs,
        "cpu_seconds_per_1000": {
            kind: {part: spread(values) for part, values in parts.items()} for kind, parts in seconds.items()
        },
    }
    return Report(figures, _summary(figures))


def _kinds(collector: str) -> Mapping[str, Mapping[str, str]]:
    """Return the variables of each kind of stack."""
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    sampled = on | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
    return {"off": {}, "on": on, "1 %": sampled}


@contextmanager
def _stack(variables: Mapping[str, str], log: Log) -> Iterator[Stack]:
    """Run a stack with these variables, which no other gets, until it has scored a text."""
    with ExitStack() as running:
        os.environ.update(variables)
        try:
            stack = running.enter_context(running_stack(Plan(free_port()), log))
        finally:
            for name in variables:
                del os.environ[name]
        with Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
        yield stack


def _measure(stacks: Mapping[str, Stack], options: Namespace) -> Figures:
    """Return the CPU seconds per 1,000 jobs of each round, by kind and part."""
    seconds: Figures = {kind: defaultdict(list) for kind in stacks}
    parts = {kind: _parts(stack) for kind, stack in stacks.items()}
    for number in range(options.rounds):
        for kind, stack in stacks.items():
            meter = CpuMeter(parts[kind])
            with meter:
                run_single_jobs(stack.url, short_texts(options.jobs))
            stack.check()
            used = meter.per_1000(options.jobs)
            for part, value in (used | {"all": sum(used.values())}).items():
                seconds[kind][part].append(value)
            print(
                f"round {number + 1}, {kind:>3}: {seconds[kind]['all'][-1]:.2f} CPU s / 1,000 jobs",
                flush=True,
            )
    return seconds


def _parts(stack: Stack) -> Parts:
    return {part: processes for part, processes in parts_of(stack).items() if part in _PARTS}


def _summary(figures: dict[str, Any]) -> str:
    used = figures["cpu_seconds_per_1000"]
    rows = "\n".join(
        f"{part:18}" + "".join(_cell(used[kind][part]) for kind in used) for part in (*_PARTS, "all")
    )
    return f"""
{figures["processor"]}, {figures["cores"]} cores, Python {figures["python"]}
{version_line(figures["versions"])}

CPU s / 1,000 jobs of one text, median (range)
{"":18}{"".join(f"{kind:>26}" for kind in used)}
{rows}"""


def _cell(values: dict[str, float]) -> str:
    return f"{values['median']:10.2f} ({values['min']:.2f} to {values['max']:.2f})".rjust(26)


PROGRAM = Program(_add_arguments, _run)
