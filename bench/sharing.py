"""`make bench-sharing`: the memory of two children against that of one, at StructBERT-base's shape in int8.

As PSS: a page that several processes hold counts for each as its part of it, so that sums are what is used.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil

from bench.base import int8_pack
from bench.load.end_to_end import IncompleteError, run_jobs
from bench.report import machine
from local.client import Client
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from samples.composed import composed_texts
from worker.packs.pack import load_pack

MOST_RATIO = 1.6
_MIB = 2**20
_LOG = ROOT / ".run" / "bench.log"
_TEXTS_PER_CHILD = 100


def main() -> int:
    """Measure, print, and write the figures as JSON where asked; 1 when two children take too much."""
    options = _options()
    interrupt_on_signals()
    _LOG.parent.mkdir(exist_ok=True)
    pack = load_pack(options.pack) if options.pack else int8_pack()
    os.environ["SENTIMENT_PACK"] = str(pack.directory)
    os.environ.setdefault("SENTIMENT_SHARED_WEIGHTS", "true")
    try:
        one, two = (_children_mib(count) for count in (1, 2))
    except (RedisUnavailableError, ProcessDiedError, StackError, IncompleteError) as error:
        print(f"\n{error}\nThe whole log: {_LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    ratio = sum(two) / sum(one)
    report: dict[str, Any] = machine(["openvino"]) | {"pack": f"{pack.id} {pack.revision}"}
    report |= {"one_child_mib": one, "two_children_mib": two, "ratio": round(ratio, 3)}
    holds = ratio <= MOST_RATIO
    print(f"{report['processor']}, pack {report['pack']} ({pack.precision})")
    print(f"PSS of one child {one[0]:.0f} MiB, of two {two[0]:.0f} + {two[1]:.0f} MiB: ", end="")
    print(f"{ratio:.2f}x, at most {MOST_RATIO}x: {'holds' if holds else 'FAILS'}")
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0 if holds else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.sharing", description=__doc__)
    parser.add_argument("--pack", type=Path, help="of another pack; StructBERT-base's shape if not given")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _children_mib(count: int) -> list[float]:
    """PSS of each of `count` children that have scored texts."""
    os.environ["SENTIMENT_CONCURRENCY"] = str(count)
    with (
        _LOG.open("w", encoding="utf-8") as file,
        running_stack(Plan(free_port()), Log(file)) as stack,
        Client(stack.url) as client,
    ):
        stack.await_api(client)
        run_jobs(stack.url, composed_texts(_TEXTS_PER_CHILD * count, seed=count))
        return [process.memory_full_info().pss / _MIB for process in _children(stack)]


def _children(stack: Stack) -> list[psutil.Process]:
    worker = next(process for process in stack.processes if process.name == "worker")
    return psutil.Process(worker.pid).children()


if __name__ == "__main__":
    sys.exit(main())
