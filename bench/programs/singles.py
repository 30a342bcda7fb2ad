"""Compare the CPU time of jobs of one text with that of bulk jobs, by process.

Rounds of both alternate, on new texts each time: single jobs of callers who each wait for a verdict before
they submit the next text, and the same number of texts in jobs of a thousand. Flower runs too.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from sentiq import Sentiq

from bench.load.end_to_end import run_jobs
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.single_jobs import run_single_jobs
from bench.program import Program, Report
from bench.report import environment, spread, version_line
from bench.usage import CpuMeter, parts_of, peak_mb
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, Stack, running_stack
from samples.composed import composed_texts
from tasks.store.keys import COUNTERS, FENCE

_WARM_UP_TEXTS = 500
_AROUND = ("api", "redis", "worker parent", "flower")
_PARTS = (*_AROUND, "worker children")

Load = Callable[[Sequence[str]], object]
Figures = dict[str, dict[str, list[float]]]


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--count", type=int, default=2000, help="texts of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each load (%(default)s)")
    parser.add_argument("--callers", type=int, default=64, help="of single jobs, at a time (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the texts (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    # A machine that is slow for a moment refuses nothing.
    os.environ.update(LOAD_TEST_SETTINGS | {"SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "100000"})
    with running_stack(Plan(free_port()), log) as stack:
        stack.start_flower(free_port())
        with Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
        loads: Mapping[str, Load] = {
            "singles": lambda texts: run_single_jobs(stack.url, texts, options.callers),
            "bulk": lambda texts: run_jobs(stack.url, texts),
        }
        for load in loads.values():
            load(composed_texts(_WARM_UP_TEXTS, seed=0))
        measured = _measure(stack, loads, options)
        memory = peak_mb({part: each for part, each in parts_of(stack).items() if part in _PARTS})
    figures = environment() | {
        "load_average": os.getloadavg(),
        "texts": options.count,
        "callers": options.callers,
        "per_1000": {
            load: {name: spread(values) for name, values in parts.items()} for load, parts in measured.items()
        },
        "children_singles_over_bulk": spread(
            [
                single / bulk
                for single, bulk in zip(*(measured[load]["worker children"] for load in loads), strict=True)
            ]
        ),
        "peak_mb": memory,
    }
    return Report(figures, _summary(figures))


def _measure(stack: Stack, loads: Mapping[str, Load], options: Namespace) -> Figures:
    """Return the CPU seconds of each part, leases, wake-ups and forwards per 1,000 texts, round by round."""
    measured: Figures = {name: defaultdict(list) for name in loads}
    client = redis.Redis.from_url(stack.redis_url)
    for number in range(options.rounds):
        for name, load in loads.items():
            meter, before = CpuMeter(parts_of(stack)), _counts(client)
            texts = composed_texts(options.count, options.seed + number)
            if name == "bulk":
                texts = [f"{text}。" for text in texts]  # other texts than those of the single jobs
            with meter:
                load(texts)
            stack.check()
            used = meter.per_1000(options.count)
            used["around the children"] = sum(used[part] for part in _AROUND)
            after = _counts(client)
            used |= {what: (after[what] - before[what]) * 1000 / options.count for what in after}
            for what, value in used.items():
                measured[name][what].append(value)
            print(
                f"round {number + 1}, {name:>7}: {used['around the children']:.2f} CPU s / 1,000 texts "
                f"around the children, {used['worker children']:.2f} in them",
                flush=True,
            )
    return measured


def _counts(client: Any) -> dict[str, float]:
    """Return how many leases, wake-ups (Celery's messages) and forwards there have been."""
    forwards = sum(
        int(count)
        for name, count in client.hgetall(COUNTERS).items()
        if name.startswith(b"batch_rows:") and not name.endswith(b":sum")
    )
    pushed = client.info("commandstats").get("cmdstat_lpush", {"calls": 0})["calls"]
    return {"leases": int(client.get(FENCE) or 0), "wake-ups": pushed, "forwards": forwards}


def _summary(figures: dict[str, Any]) -> str:
    loads, ratio = figures["per_1000"], figures["children_singles_over_bulk"]
    rows = (*_PARTS, "around the children", "leases", "wake-ups", "forwards")
    lines = "\n".join(f"{row:22}" + "".join(_cell(loads[load][row]) for load in loads) for row in rows)
    memory = "\n".join(f"{part:22}{', '.join(map(str, each))}" for part, each in figures["peak_mb"].items())
    return f"""
{figures["processor"]}, {figures["cores"]} cores, Python {figures["python"]}
{version_line(figures["versions"])}
{figures["texts"]} texts a round, {figures["callers"]} callers of single jobs

{"CPU s / 1,000 texts":22}{"".join(f"{load:>28}" for load in loads)}
{lines}

children, singles over bulk: {ratio["median"]:.2f} ({ratio["min"]:.2f} to {ratio["max"]:.2f})

peak MiB by process
{memory}"""


def _cell(values: dict[str, float]) -> str:
    return f"{values['median']:10.3f} ({values['min']:.3f} to {values['max']:.3f})".rjust(28)


PROGRAM = Program(_add_arguments, _run)
