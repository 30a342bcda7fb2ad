"""Measure the latency of single texts by load, from 10 % to 110 % of the capacity.

Texts arrive in an open loop, a Poisson process, and a latency runs from when a text was due to its answer.
The capacity is the rate of a flood of callers before. Every round has all loads, in another order.
"""

from __future__ import annotations

import asyncio
import random
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench.environ import environ
from bench.load.alone import times_alone
from bench.load.arrivals import poisson_times
from bench.load.callers import Load, closed_loop, open_loop
from bench.peers.services import Service, running_sentiq
from bench.percentiles import latency_ms
from bench.program import Program, Report
from bench.report import environment
from bench.texts import add_text_arguments, statistics_of, texts_name, texts_of_round
from bench.writing import Draw, add_out_argument, circumstances, digits, table, write_report
from local.logs import Log

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
_CALLERS = 64
_ALONE_TEXTS = 200
_NAMES = ("p50", "p95", "p99")


def _add_arguments(parser: ArgumentParser) -> None:
    add_text_arguments(parser, count=5000, seed=20260101)
    parser.add_argument("--pack", type=Path, help="the pack to serve; the configured one if not given")
    parser.add_argument("--seconds", type=float, default=30, help="of each load of a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    shares = " ".join(map(str, _SHARES))
    parser.add_argument(
        "--shares", type=float, nargs="+", default=_SHARES, help=f"of the capacity ({shares})"
    )
    add_out_argument(parser)


def _run(options: Namespace, log: Log) -> Report:
    settings = {"SENTIMENT_PACK": str(options.pack.resolve())} if options.pack else {}
    texts = texts_of_round(options, 0)
    with environ(settings):
        alone = latency_ms(times_alone(texts[:_ALONE_TEXTS]))
        circumstance = environment()
    with running_sentiq(log, settings) as service:
        _flood(service, texts, options.seconds / 3)  # the warm-up
        capacity = _flood(service, texts, options.seconds)
        print(f"capacity {capacity:.3g} texts/s", flush=True)
        loads = _loads(service, texts, capacity, options)
    figures = {
        **circumstance,
        "seed": options.seed,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "texts": texts_name(options),
        "text_chars": statistics_of(texts),
        "capacity_per_s": capacity,
        "engine_alone_ms": alone,
        "loads": {f"{share:g}": _figures(done) for share, done in sorted(loads.items())},
    }
    written = write_report(options.out, "latency", figures, page(figures), {"latency": draw_latency(figures)})
    return Report(figures, "\n".join(map(str, written)))


def _flood(service: Service, texts: Sequence[str], seconds: float) -> float:
    """Return the texts per second of a flood that takes about so long."""
    part = list(islice(cycle(texts), _CALLERS))
    while True:
        load = asyncio.run(
            closed_loop(service.port, [service.dialect.ask([text]) for text in part], _CALLERS)
        )
        if load.seconds > seconds / 2:
            return len(part) / load.seconds
        part = list(islice(cycle(texts), round(len(part) * min(4, 1.2 * seconds / load.seconds))))


def _loads(
    service: Service, texts: Sequence[str], capacity: float, options: Namespace
) -> dict[float, list[Load]]:
    loads: dict[float, list[Load]] = defaultdict(list)
    order = random.Random(options.seed)  # noqa: S311  a seed must give the same order again
    for number in range(options.rounds):
        for share in order.sample([*options.shares], len(options.shares)):
            times = poisson_times(share * capacity, options.seconds, options.seed + number)
            requests = [service.dialect.ask([text]) for text in islice(cycle(texts), len(times))]
            loads[share].append(asyncio.run(open_loop(service.port, requests, times)))
            print(f"round {number + 1}, {share:4.0%}: {_figures(loads[share][-1:])}", flush=True)
    return loads


def _figures(loads: Sequence[Load]) -> dict[str, Any]:
    """Return the percentiles over all rounds, and the share of texts that were refused and came again."""
    latencies = [latency for load in loads for latency in load.latencies_s]
    if not latencies:
        return {"count": 0}
    return latency_ms(latencies) | {"refusals": sum(load.refusals for load in loads)}


def page(figures: Mapping[str, Any]) -> str:
    """Return the Markdown page."""
    rows = [
        [f"{float(share):.0%}", *(digits(load[name]) for name in (*_NAMES, "refusals"))]
        for share, load in figures["loads"].items()
        if load["count"]
    ]
    alone = figures["engine_alone_ms"]
    return f"""# Latency by load

Written by `make bench-latency`.
Single texts in open loop, Poisson arrivals, from when a text was due to its answer.
Capacity: {figures["capacity_per_s"]:.3g} texts/s, the rate of {_CALLERS} callers who each wait for an answer.
All loads in each of {figures["rounds"]} rounds of {figures["seconds"]:g} s, in a random order.

{circumstances(figures)}
- Pack: {figures["pack"]}. Texts: {figures["texts"]}, {figures["text_chars"]["mean"]} characters on average.

{table(["load", "p50 ms", "p95 ms", "p99 ms", "refusals"], rows)}

The engine alone, one text at a time: {", ".join(f"{name} {digits(alone[name])} ms" for name in _NAMES)}.
A refusal asks for the text again after some seconds, which are part of its latency.

![Latency by load](latency.svg)

## Rows for the README

{readme_rows(figures)}
"""


def readme_rows(figures: Mapping[str, Any]) -> str:
    """Return a row for the load nearest to half the capacity, and one for that nearest to 0.8 of it."""
    measured = {float(share): load for share, load in figures["loads"].items() if load["count"]}
    nearest = {min(measured, key=lambda share: abs(share - wanted)) for wanted in (0.5, 0.8)}
    rows = [
        [
            f"one text, submit to answer, at {share:.0%} of the capacity",
            ", ".join(f"{name} {digits(measured[share][name])} ms" for name in _NAMES),
            "`make bench-latency`",
        ]
        for share in sorted(nearest)
    ]
    return table(["what", "measured", "command"], rows)


def draw_latency(figures: Mapping[str, Any]) -> Draw:
    """Return a drawing of the percentiles by load; dotted, those of the engine alone."""
    measured = {float(share) * 100: load for share, load in figures["loads"].items() if load["count"]}

    def draw(axes: Any) -> None:
        for name in _NAMES:
            values = [load[name] for load in measured.values()]
            (line,) = axes.plot([*measured], values, marker="o", label=name)
            alone = figures["engine_alone_ms"][name]
            axes.axhline(alone, color=line.get_color(), linestyle=":", label=f"engine alone, {name}")
        axes.set_yscale("log")
        axes.set_xlabel(f"load, % of {figures['capacity_per_s']:.3g} texts/s")
        axes.set_ylabel("submit to answer, ms")
        axes.legend()

    return draw


PROGRAM = Program(_add_arguments, _run)
