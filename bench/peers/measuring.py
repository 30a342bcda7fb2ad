"""What is measured of a running service: bulk, a flood of callers, and latencies below its own capacity."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.load.arrivals import first_arrivals
from bench.load.callers import closed_loop, open_loop
from bench.peers.services import Service
from bench.percentiles import latency_ms
from bench.usage import TreeMeter

FLOOD_CALLERS = 64
SHARES = (0.5, 0.8)  # of the capacity, in open loop
_MIN_ARRIVALS = 30  # fewer have no percentiles
_WARM_UP_S = 5


@dataclass(frozen=True)
class Rate:
    """A closed load: how many texts, how many of them per second, and the CPU seconds of 1,000."""

    texts: int
    per_s: float
    cpu_s_per_1000: float


def measure(service: Service, texts: Sequence[str], seconds: float, seed: int) -> dict[str, Any]:
    """Return the figures of all loads. Each takes about `seconds`, with as many of the texts as that needs.

    The capacity is the rate under the flood.
    """
    guess = _warm_up(service, texts)
    bulk = _bulk(service, _part(texts, guess * seconds, 1))
    flood, more = _flood(service, _part(texts, guess * seconds, FLOOD_CALLERS))
    return {
        "bulk": asdict(bulk),
        "flood": asdict(flood) | more,
        **{
            f"at_{share:.0%}": _below_capacity(service, texts, share * flood.per_s, seconds, seed)
            for share in SHARES
        },
        "memory_mb": TreeMeter(service.pids).resident_mb(),
    }


def _part(texts: Sequence[str], count: float, least: int) -> Sequence[str]:
    return texts[: max(least, round(count))]


def _warm_up(service: Service, texts: Sequence[str]) -> float:
    """Send rising numbers of texts at once until they take some seconds; return the texts per second."""
    count = 2
    while True:
        start = time.monotonic()
        part = [service.dialect.ask([text]) for text in texts[:count]]
        asyncio.run(closed_loop(service.port, part, FLOOD_CALLERS))
        seconds = time.monotonic() - start
        if seconds > _WARM_UP_S or count >= len(texts):
            return len(part) / seconds
        count *= 2


def _bulk(service: Service, texts: Sequence[str]) -> Rate:
    with TreeMeter(service.pids) as meter:
        seconds = service.score_bulk(texts)
    return _rate(len(texts), seconds, meter)


def _flood(service: Service, texts: Sequence[str]) -> tuple[Rate, dict[str, Any]]:
    requests = [service.dialect.ask([text]) for text in texts]
    with TreeMeter(service.pids) as meter:
        load = asyncio.run(closed_loop(service.port, requests, FLOOD_CALLERS))
    more = {"latency_ms": latency_ms(load.latencies_s), "refusals": load.refusals}
    return _rate(len(texts), load.seconds, meter), more


def _rate(texts: int, seconds: float, meter: TreeMeter) -> Rate:
    return Rate(texts, texts / seconds, meter.seconds * 1000 / texts)


def _below_capacity(
    service: Service, texts: Sequence[str], per_s: float, seconds: float, seed: int
) -> dict[str, float]:
    """Return the latencies of single texts in open loop at that rate."""
    count = max(_MIN_ARRIVALS, round(per_s * seconds))
    requests = [service.dialect.ask([texts[number % len(texts)]]) for number in range(count)]
    times = first_arrivals(per_s, count, seed)
    return latency_ms(asyncio.run(open_loop(service.port, requests, times)).latencies_s)
