"""`make bench-overload`: three times what the service can do, for a minute, and what becomes of everybody."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.load.open_loop import UNHINDERED, Outcomes, capacity_of, outcomes_of
from bench.report import circumstances
from local.client import Client
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.stack import Plan, StackError, interrupt_on_signals, running_stack
from tasks.settings import Settings

_LOG = ROOT / ".run" / "overload.log"
_TIMES = 3
_MOST_LATENCY_MS = 50
_LEAST_RETRIED = 0.9


def main() -> int:
    """Measure and print; 0 when every bound holds."""
    options = _options()
    interrupt_on_signals()
    os.environ.update(UNHINDERED)
    _LOG.parent.mkdir(exist_ok=True)
    try:
        with _LOG.open("w", encoding="utf-8") as file:
            report = _measure(options, Log(file))
    except KeyboardInterrupt:
        return 130
    except (RedisUnavailableError, ProcessDiedError, StackError) as error:
        print(f"\n{error}\nThe whole log: {_LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    for what, figure, holds in report["bounds"]:
        print(f"{'holds' if holds else 'FAILS'}   {what:48} {figure}")
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if all(holds for *_, holds in report["bounds"]) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long the overload lasts (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of texts and arrivals (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _measure(options: argparse.Namespace, log: Log) -> dict[str, Any]:
    with running_stack(Plan(free_port()), log) as stack:
        with Client(stack.url) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
        capacity = asyncio.run(capacity_of(stack.url, options.seed))
        print(
            f"capacity {capacity:.0f} items/s; now {_TIMES} times that for {options.seconds:g} s", flush=True
        )
        rate = _TIMES * capacity
        outcomes = asyncio.run(outcomes_of(stack.url, rate, options.seconds, options.seed + 1))
        stack.check()
    return {
        **circumstances(),
        "capacity_items_per_s": capacity,
        "arrivals_items_per_s": rate,
        "bounds": _bounds(outcomes, Settings.read().target_wait_interactive_s),
    }


def _bounds(outcomes: Outcomes, target_s: float) -> list[tuple[str, str, bool]]:
    """What must hold, what was seen, and whether it holds."""
    waits, latencies = sorted(outcomes.waits_s), sorted(outcomes.latencies_ms)
    late, slow = _at(waits, 0.99), _at(latencies, 0.95)
    retried = outcomes.retried_well / max(1, outcomes.retried)
    codes = ", ".join(f"{code} {count}" for code, count in sorted(outcomes.refusals.items()))
    return [
        (
            f"accepted jobs are over within {target_s:g} s (p99)",
            f"{late:.1f} s (p50 {_at(waits, 0.5):.1f}, max {waits[-1]:.1f}) of {len(waits)} jobs",
            late <= target_s,
        ),
        (
            "every other answer is a 429 or 503 with Retry-After",
            f"{codes}; longest {outcomes.longest_retry_s} s; others {outcomes.strange}",
            outcomes.strange == 0 and outcomes.retried > 0,
        ),
        (
            f"who obeys it gets in at the first retry (>= {_LEAST_RETRIED:.0%})",
            f"{retried:.1%} of {outcomes.retried}",
            retried >= _LEAST_RETRIED,
        ),
        (
            f"the API answers within {_MOST_LATENCY_MS} ms (p95)",
            f"{slow:.1f} ms (p50 {_at(latencies, 0.5):.1f}) of {len(latencies)} requests",
            slow < _MOST_LATENCY_MS,
        ),
        ("nothing that was accepted is lost", f"{outcomes.lost} lost", outcomes.lost == 0),
    ]


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    sys.exit(main())
