"""Compare servers for HTTP in front of the same app: gunicorn with gevent or threads, and granian.

The app asks Redis once and waits as for a verdict. Each server runs one process; CPU time is that of the
server with the app in it, without Redis.
"""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.fronts.catalogue import CALLERS, FRONTS
from bench.load.arrivals import first_arrivals
from bench.load.callers import closed_loop, open_loop
from bench.peers.reporting import Rounds, median_of
from bench.peers.rounds import described, in_rounds, made
from bench.peers.services import Service, running_peer
from bench.percentiles import latency_ms
from bench.program import Program, Report
from bench.report import machine
from bench.usage import TreeMeter
from bench.writing import add_out_argument, best, circumstances, digits, table, write_report
from local.logs import Log
from samples.composed import composed_texts

_WARM_UP = 200
_COLUMNS = (
    ("requests/s", ("flood", "per_s")),
    ("CPU s / 1,000 requests", ("flood", "cpu_s_per_1000")),
    ("p50 ms", ("flood", "latency_ms", "p50")),
    ("p99 ms", ("flood", "latency_ms", "p99")),
    ("open loop: CPU s / 1,000", ("open", "cpu_s_per_1000")),
    ("open loop: p50 ms", ("open", "latency_ms", "p50")),
    ("open loop: p99 ms", ("open", "latency_ms", "p99")),
)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s)")
    parser.add_argument("--count", type=int, default=5000, help="requests of each load (%(default)s)")
    parser.add_argument(
        "--per-second", type=float, default=200, help="requests a second in open loop (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=20260101, help="of texts and arrivals (%(default)s)")
    add_out_argument(parser)


def _run(options: Namespace, log: Log) -> Report:
    left_out: dict[str, str] = {}
    fronts = [*made(iter(FRONTS), left_out, torch=False)]
    starts = {front.name: partial(running_peer, front, python, Path(), log) for front, python in fronts}
    figures = {
        "name": "fronts",
        **machine(("redis",)),
        "seed": options.seed,
        "rounds": options.rounds,
        "per_second": options.per_second,
        "services": in_rounds(starts, options.rounds, partial(measure, options), left_out),
        "peers": {front.name: described(front, python)["versions"] for front, python in fronts},
        "left_out": left_out,
    }
    return Report(
        figures, "\n".join(map(str, write_report(options.out, "fronts", figures, page(figures), {})))
    )


def measure(options: Namespace, service: Service, number: int) -> dict[str, Any]:
    """Return the figures of a closed loop and of an open one."""
    texts = composed_texts(options.count, options.seed + number)
    requests = [service.dialect.ask([text]) for text in texts]
    asyncio.run(closed_loop(service.port, requests[:_WARM_UP], CALLERS))
    server = server_of(service)
    with TreeMeter(server) as flood_cpu:
        flood = asyncio.run(closed_loop(service.port, requests, CALLERS))
    times = first_arrivals(options.per_second, len(requests), options.seed + number)
    with TreeMeter(server) as open_cpu:
        opened = asyncio.run(open_loop(service.port, requests, times))
    return {
        "flood": {
            "per_s": len(requests) / flood.seconds,
            "cpu_s_per_1000": flood_cpu.seconds * 1000 / len(requests),
            "latency_ms": latency_ms(flood.latencies_s),
        },
        "open": {
            "cpu_s_per_1000": open_cpu.seconds * 1000 / len(requests),
            "latency_ms": latency_ms(opened.latencies_s),
        },
    }


def server_of(service: Service) -> list[int]:
    """Return the processes of the server, without Redis, which is started first."""
    return service.pids[1:]


def page(figures: Mapping[str, Any]) -> str:
    """Return the Markdown page."""
    services: Mapping[str, Rounds] = figures["services"]
    cells = [
        best(
            {name: median_of(rounds, *path) for name, rounds in services.items()},
            digits,
            highest=path[-1] == "per_s",
        )
        for _, path in _COLUMNS
    ]
    rows = [[name, *(column[name] for column in cells)] for name in services]
    versions = "\n".join(
        f"- {name}: {', '.join(f'{package} {version}' for package, version in found.items())}."
        for name, found in figures["peers"].items()
    )
    left_out = "\n".join(f"- Not measured: {name}. {reason}" for name, reason in figures["left_out"].items())
    return f"""# HTTP servers in front of one app

Written by `make bench-fronts`; the best figure of each column is in bold.
The app reads a JSON body, asks Redis once, waits 50 ms as for a verdict, and answers JSON.
One process a server, gunicorn with its own worker for gevent, not with that of the API.
CPU time is that of the server with the app in it, without Redis.
The client and Redis share the cores with it, and lower the rate of each.
{CALLERS} callers each wait for an answer before they ask again.
In open loop {figures["per_second"]:g} requests arrive a second.
Medians of {figures["rounds"]} rounds, each with servers that were started anew, in a new order.

{circumstances(figures)}

{table(["server", *(head for head, _ in _COLUMNS)], rows)}

## Versions

{versions}
{left_out}
"""


PROGRAM = Program(_add_arguments, _run)
