"""`make bench`: the offline rate and the end-to-end rate, interleaved, and what the service costs on top."""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import psutil

from bench.load.end_to_end import IncompleteError, Run, run_jobs
from bench.load.offline import Offline
from bench.load.open_loop import UNHINDERED
from bench.report import circumstances, figures, summary
from bench.texts import statistics_of, texts_from
from bench.usage import CpuMeter, parts_of, peak_mb
from local.client import Client
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from samples.composed import composed_texts

_LOG = ROOT / ".run" / "bench.log"
_WARM_UP_TEXTS = 2000


def main() -> int:
    """Measure, print, and write the figures as JSON where asked."""
    options = _options()
    interrupt_on_signals()
    _LOG.parent.mkdir(exist_ok=True)
    os.environ.update(UNHINDERED)
    try:
        with _LOG.open("w", encoding="utf-8") as file:
            report = _measure(options, Log(file))
    except KeyboardInterrupt:
        return 130
    except (RedisUnavailableError, ProcessDiedError, StackError, IncompleteError) as error:
        print(f"\n{error}\nThe whole log: {_LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    print(summary(report))
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__)
    parser.add_argument("--texts", type=Path, help="a file of texts, one a line; composed ones if not given")
    parser.add_argument("--count", type=int, default=5000, help="texts in each run (%(default)s)")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the composed texts (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _measure(options: argparse.Namespace, log: Log) -> dict[str, Any]:
    corpora = [_corpus(options, pair) for pair in range(options.pairs)]
    print("starting the stack and one engine a core", flush=True)
    with Offline() as offline, running_stack(Plan(free_port()), log) as stack:
        _warm_up(stack, offline, min(options.count, _WARM_UP_TEXTS))
        parts = parts_of(stack)
        engines = CpuMeter({"offline engines": [psutil.Process(pid) for pid in offline.pids]})
        service = CpuMeter(parts)
        pairs = [_pair(texts, stack, offline, engines, service) for texts in corpora]
        scored = sum(map(len, corpora))
        return {
            **circumstances(),
            "texts": str(options.texts) if options.texts else f"composed, seed {options.seed}",
            "text_chars": statistics_of(corpora[0]),
            **figures(pairs),
            "cpu_seconds_per_1000": engines.per_1000(scored) | service.per_1000(scored),
            "peak_mb": peak_mb(engines.parts | parts),
            "children_ready_s": _children_ready(),
        }


def _corpus(options: argparse.Namespace, pair: int) -> list[str]:
    """The texts of one pair: new ones each time, so that no pair profits from another's."""
    if options.texts:
        return texts_from(options.texts, options.count)
    return composed_texts(options.count, options.seed + pair)


def _children_ready() -> list[float]:
    """Seconds from each child's fork until it held a warm model, as the worker logged them."""
    return [float(found) for found in re.findall(r"child ready after ([\d.]+) s", _LOG.read_text("utf-8"))]


def _warm_up(stack: Stack, offline: Offline, count: int) -> None:
    """Load everything and meet every tensor shape: neither is what is measured."""
    texts = composed_texts(count, seed=0)
    with Client(stack.url) as client:
        stack.await_api(client)
    offline.rate(texts)
    run_jobs(stack.url, texts)


def _pair(
    texts: list[str], stack: Stack, offline: Offline, engines: CpuMeter, service: CpuMeter
) -> tuple[float, Run]:
    with engines:
        alone = offline.rate(texts)
    with service:
        run = run_jobs(stack.url, texts)
    stack.check()
    print(f"offline {alone:6.0f}  end to end {run.rate:6.0f} texts/s", flush=True)
    return alone, run


if __name__ == "__main__":
    sys.exit(main())
