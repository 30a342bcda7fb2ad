"""The report on queues: tables and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bench.peers.reporting import Rounds, median_of
from bench.queues.catalogue import JOBS
from bench.queues.measuring import CALLERS, SHARE
from bench.writing import Draw, best, circumstances, digits, table

SENTIQ = "Sentiq, an engine that answers at once"

Column = tuple[str, Callable[[Mapping[str, Rounds]], dict[str, str]]]


def page(figures: Mapping[str, Any]) -> str:
    """Return the Markdown page."""
    services: Mapping[str, Rounds] = figures["services"]
    return f"""# The queue alone

Written by `make bench-queues`; the best figure of each column is in bold.
Each queue has a task that does nothing, as many worker processes as cores, and a Redis of its own.
All but Sentiq are behind the same Flask routes, whose threads wait for results.
Queues that poll look every 10 ms.
Sentiq runs whole, with an engine that answers at once: it records, leases and tokenizes each text.
Medians of {figures["rounds"]} rounds, each with services that were started anew, in a new order.

{circumstances(figures)}

## Jobs of one text

{_table(services, _SINGLE)}

{CALLERS} callers, each of which waits for its result before it asks again.
"At {SHARE:.0%}" are latencies in open loop at that share of the jobs a second.
CPU: seconds of all processes, Redis included, for 1,000 jobs.
Commands are those that Redis ran a job, also within scripts; bytes are those that it received and sent.

## Bulk

{_table(services, _BULK)}

{JOBS} texts a request, one request after the other: a task a text in the other queues, one job in Sentiq.
"In" is the rate until all were submitted, "out" until all results were read.

![Jobs a second]({figures["name"]}.svg)

## Versions

{_versions(figures)}

## Rows for the README

{readme_rows(services)}
"""


def readme_rows(services: Mapping[str, Rounds]) -> str:
    """Return a row for each queue: Sentiq's rates by the queue's, in the same round."""
    rows = [
        [f"the queue alone, against {name}", f"single {single}, bulk {bulk}", "`make bench-queues`"]
        for name, (single, bulk) in _ratios(services).items()
    ]
    return table(["what", "measured", "command"], rows)


def draw_rates(services: Mapping[str, Rounds]) -> Draw:
    """Return a drawing of the rates, single and in bulk, on a logarithmic axis."""

    def draw(axes: Any) -> None:
        names = [*services]
        for offset, label, path in (
            (-0.2, "single", ("single", "per_s")),
            (0.2, "bulk", ("bulk", "out_per_s")),
        ):
            rates = [median_of(rounds, *path) for rounds in services.values()]
            places = [number + offset for number in range(len(names))]
            axes.bar_label(axes.barh(places, rates, height=0.38, label=label), fmt="%.3g", padding=2)
        axes.set_yticks(range(len(names)), names)
        axes.set_xscale("log")
        axes.invert_yaxis()
        axes.set_xlabel("jobs per second")
        axes.legend()

    return draw


def _ratios(services: Mapping[str, Rounds]) -> dict[str, tuple[str, str]]:
    paths = (("single", "per_s"), ("bulk", "out_per_s"))
    return {
        name: (_times(services[SENTIQ], rounds, *paths[0]), _times(services[SENTIQ], rounds, *paths[1]))
        for name, rounds in services.items()
        if name != SENTIQ
    }


def _times(own: Rounds, theirs: Rounds, load: str, name: str) -> str:
    values = [mine[load][name] / other[load][name] for mine, other in zip(own, theirs, strict=True)]
    return f"{statistics.median(values):.2f} times ({min(values):.2f} to {max(values):.2f})"


def _column(head: str, *path: str, highest: bool = False) -> Column:
    def cells(services: Mapping[str, Rounds]) -> dict[str, str]:
        values = {name: median_of(rounds, *path) for name, rounds in services.items()}
        return best(values, digits, highest=highest)

    return head, cells


_SINGLE = (
    _column("jobs/s", "single", "per_s", highest=True),
    _column("p50 ms", "single", "latency_ms", "p50"),
    _column("p99 ms", "single", "latency_ms", "p99"),
    _column(f"at {SHARE:.0%}, p50 ms", "below", "p50"),
    _column(f"at {SHARE:.0%}, p99 ms", "below", "p99"),
    _column("commands", "single", "redis", "commands"),
    _column("bytes in", "single", "redis", "bytes_in"),
    _column("bytes out", "single", "redis", "bytes_out"),
    _column("Redis CPU, µs", "single", "redis", "cpu_us"),
    _column("CPU", "single", "cpu_s_per_1000"),
)
_BULK = (
    _column("in, jobs/s", "bulk", "in_per_s", highest=True),
    _column("out, jobs/s", "bulk", "out_per_s", highest=True),
    _column("commands", "bulk", "redis", "commands"),
    _column("bytes in", "bulk", "redis", "bytes_in"),
    _column("bytes out", "bulk", "redis", "bytes_out"),
    _column("Redis CPU, µs", "bulk", "redis", "cpu_us"),
    _column("CPU", "bulk", "cpu_s_per_1000"),
)


def _table(services: Mapping[str, Rounds], columns: tuple[Column, ...]) -> str:
    cells = [made(services) for _, made in columns]
    return table(
        ["queue", *(head for head, _ in columns)],
        [[name, *(each[name] for each in cells)] for name in services],
    )


def _versions(figures: Mapping[str, Any]) -> str:
    lines = [
        f"- {name}: {', '.join(f'{package} {number}' for package, number in found.items())}."
        for name, found in figures["peers"].items()
    ]
    return "\n".join(
        lines + [f"- Not measured: {name}. {reason}" for name, reason in figures["left_out"].items()]
    )
