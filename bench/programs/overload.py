"""Send three times the capacity for a minute, and check what the service promises then."""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser, Namespace

from sentiq import Sentiq

from bench.load.open_loop import LOAD_TEST_SETTINGS, Outcomes, measure_capacity, send_open_loop
from bench.program import Program, Report
from bench.report import environment, verdict
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, running_stack
from tasks.settings import Settings

_OVERLOAD = 3  # times the capacity
_MAX_LATENCY_MS = 50
_MIN_ACCEPTED_RETRIES = 0.9

Bound = tuple[str, str, bool]  # what must hold, what was measured, whether it holds


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60, help="how long the overload lasts (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of texts and arrivals (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    os.environ.update(LOAD_TEST_SETTINGS)
    with running_stack(Plan(free_port()), log) as stack:
        with Sentiq(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
        capacity = asyncio.run(measure_capacity(stack.url, options.seed))
        rate = _OVERLOAD * capacity
        print(f"capacity {capacity:.0f} items/s; sending {rate:.0f} for {options.seconds:g} s", flush=True)
        outcomes = asyncio.run(send_open_loop(stack.url, rate, options.seconds, options.seed + 1))
        stack.check()
    bounds = _bounds(outcomes, Settings.read().target_wait_interactive_s)
    figures = {
        **environment(),
        "capacity_items_per_s": capacity,
        "arrivals_items_per_s": rate,
        "bounds": bounds,
    }
    summary = "\n".join(f"{verdict(holds)}   {bound:52} {measured}" for bound, measured, holds in bounds)
    return Report(figures, summary, all(holds for *_, holds in bounds))


def _bounds(outcomes: Outcomes, target_s: float) -> list[Bound]:
    return [
        _target_wait(outcomes, target_s),
        _refusals(outcomes),
        _retries(outcomes),
        _latency(outcomes),
        ("no accepted job is lost", f"{outcomes.lost} lost", outcomes.lost == 0),
    ]


def _target_wait(outcomes: Outcomes, target_s: float) -> Bound:
    waits = sorted(outcomes.waits_s)
    p99 = _percentile(waits, 0.99)
    return (
        f"accepted jobs finish within {target_s:g} s (p99)",
        f"{p99:.1f} s (p50 {_percentile(waits, 0.5):.1f}, max {waits[-1]:.1f}) of {len(waits)} jobs",
        p99 <= target_s,
    )


def _refusals(outcomes: Outcomes) -> Bound:
    codes = ", ".join(f"{code} {count}" for code, count in sorted(outcomes.refusals.items()))
    return (
        "every other answer is a 429 or 503 with Retry-After",
        f"{codes}; longest {outcomes.longest_retry_s} s; others {outcomes.unexpected}",
        outcomes.unexpected == 0 and outcomes.retries > 0,
    )


def _retries(outcomes: Outcomes) -> Bound:
    share = outcomes.accepted_retries / max(1, outcomes.retries)
    return (
        f"a retry after Retry-After is accepted (>= {_MIN_ACCEPTED_RETRIES:.0%})",
        f"{share:.1%} of {outcomes.retries}",
        share >= _MIN_ACCEPTED_RETRIES,
    )


def _latency(outcomes: Outcomes) -> Bound:
    latencies = sorted(outcomes.latencies_ms)
    p95 = _percentile(latencies, 0.95)
    return (
        f"the API answers within {_MAX_LATENCY_MS} ms (p95)",
        f"{p95:.1f} ms (p50 {_percentile(latencies, 0.5):.1f}) of {len(latencies)} requests",
        p95 < _MAX_LATENCY_MS,
    )


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


PROGRAM = Program(_add_arguments, _run)
