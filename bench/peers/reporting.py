"""The report on peers: tables, a plot, and rows for the README."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from bench.peers.measuring import FLOOD_CALLERS, SHARES
from bench.writing import Draw, best, circumstances, digits, table

SENTIQ = "Sentiq"
_BELOW = [f"at_{share:.0%}" for share in SHARES]

Rounds = list[dict[str, Any]]  # what `measure` returns, a round each


def median_of(rounds: Rounds, *path: str) -> float:
    """Return the median over the rounds of the figure at this path."""
    return statistics.median(_at(each, path) for each in rounds)


def ratios(services: Mapping[str, Rounds], load: str) -> dict[str, list[float]]:
    """Return Sentiq's rate by each peer's, round by round: what ran close in time is compared."""
    own = services[SENTIQ]
    return {
        key: [mine[load]["per_s"] / theirs[load]["per_s"] for mine, theirs in zip(own, rounds, strict=False)]
        for key, rounds in services.items()
        if key != SENTIQ and rounds
    }


def page(figures: Mapping[str, Any]) -> str:
    """Return the Markdown page."""
    services: Mapping[str, Rounds] = figures["services"]
    below = " and ".join(f"{share:.0%}" for share in SHARES)
    return f"""# Peers

Written by `make bench-peers`; the best figure of each column is in bold.
Every service has the same random weights in the shape of StructBERT-base, and scores the same texts.
Medians of {figures["rounds"]} rounds; in each round every service was started anew, in a new order.

{circumstances(figures)}
- Texts: {figures["texts"]}, {figures["text_chars"]["mean"]} characters on average.

## Rates and CPU time

{_rates(services)}

Bulk: all texts at once, in the largest requests that the service takes.
Flood: {FLOOD_CALLERS} callers, each of which waits for its answer before it asks again.
CPU: seconds of all processes of the service, brokers included, for 1,000 texts.

![Rates]({figures["name"]}.svg)

## Latency of a single text

{_latencies(services)}

Poisson arrivals at {below} of what the same service reached under the flood, from due time to answer.

## Sentiq against each

{_ratios(services)}

## The peers

{_peers(figures)}

## Rows for the README

{readme_rows(services)}
"""


def readme_rows(services: Mapping[str, Rounds]) -> str:
    """Return a row for each peer: Sentiq's rate by the peer's, in bulk and under the flood."""
    bulk, flood = ratios(services, "bulk"), ratios(services, "flood")
    rows = [
        [f"against {key}", f"bulk {_times(bulk[key])}, flood {_times(flood[key])}", "`make bench-peers`"]
        for key in bulk
    ]
    return table(["what", "measured", "command"], rows)


def draw_rates(services: Mapping[str, Rounds]) -> Draw:
    """Return a drawing of the rates in bulk and under the flood."""

    def draw(axes: Any) -> None:
        names = [*services]
        for offset, load in ((-0.2, "bulk"), (0.2, "flood")):
            rates = [median_of(rounds, load, "per_s") for rounds in services.values()]
            places = [number + offset for number in range(len(names))]
            axes.bar_label(axes.barh(places, rates, height=0.38, label=load), fmt="%.3g", padding=2)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("texts per second")
        axes.legend()

    return draw


def _rates(services: Mapping[str, Rounds]) -> str:
    columns = [
        _column(services, digits, "bulk", "per_s", highest=True),
        _column(services, digits, "bulk", "cpu_s_per_1000", highest=False),
        _column(services, digits, "flood", "per_s", highest=True),
        _column(services, digits, "flood", "cpu_s_per_1000", highest=False),
        _column(services, _whole, "memory_mb", highest=False),
    ]
    heads = ["service", "bulk, texts/s", "CPU", "flood, texts/s", "CPU", "memory, MiB"]
    return table(heads, [[key, *(column[key] for column in columns)] for key in services])


def _latencies(services: Mapping[str, Rounds]) -> str:
    columns = [
        _column(services, _whole, load, name, highest=False)
        for load in _BELOW
        for name in ("p50", "p95", "p99")
    ]
    heads = ["service", *(f"{share:.0%}, {name} ms" for share in SHARES for name in ("p50", "p95", "p99"))]
    return table(heads, [[key, *(column[key] for column in columns)] for key in services])


def _column(
    services: Mapping[str, Rounds], shown: Callable[[float], str], *path: str, highest: bool
) -> dict[str, str]:
    values = {key: median_of(rounds, *path) for key, rounds in services.items()}
    return best(values, shown, highest=highest)


def _ratios(services: Mapping[str, Rounds]) -> str:
    loads = [ratios(services, load) for load in ("bulk", "flood")]
    return table(
        ["peer", "bulk", "flood"], [[key, *(_times(load[key]) for load in loads)] for key in loads[0]]
    )


def _peers(figures: Mapping[str, Any]) -> str:
    rows = [
        [
            key,
            " ".join(f"{name} {number}" for name, number in peer["versions"].items()),
            peer["advice"] or "—",
        ]
        for key, peer in figures["peers"].items()
    ]
    lines = [table(["peer", "versions", "advice"], rows)]
    lines += [f"- Not measured: {name}. {reason}" for name, reason in figures["left_out"].items()]
    return "\n\n".join([lines[0], "\n".join(lines[1:])])


def _at(figure: Any, path: tuple[str, ...]) -> float:
    for name in path:
        figure = figure[name]
    return float(figure)


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _times(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} times ({min(values):.2f} to {max(values):.2f})"
