"""Compare the memory of two worker children with that of one, in int8 at base size.

Memory is PSS: a page that several processes map counts for each in proportion, so that sums are what is used.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from sentiq import Sentiq

from bench.base_model import int8_pack
from bench.load.end_to_end import run_jobs
from bench.program import Program, Report
from bench.report import machine, verdict
from bench.usage import worker_processes
from local.logs import Log
from local.ports import free_port
from local.stack import Plan, running_stack
from samples.composed import composed_texts
from worker.packs.pack import load_pack

_MAX_RATIO = 1.6
_MIB = 2**20
_TEXTS_PER_CHILD = 100


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--pack", type=Path, help="the pack to load; StructBERT-base's shape if not given")


def _run(options: Namespace, log: Log) -> Report:
    pack = load_pack(options.pack) if options.pack else int8_pack()
    os.environ.setdefault("SENTIMENT_SHARED_WEIGHTS", "true")
    os.environ["SENTIMENT_PACK"] = str(pack.directory)
    one, two = (_children_mib(count, log) for count in (1, 2))
    ratio = sum(two) / sum(one)
    figures = machine(["openvino"]) | {
        "pack": f"{pack.id} {pack.revision}",
        "one_child_mib": one,
        "two_children_mib": two,
        "ratio": round(ratio, 3),
    }
    holds = ratio <= _MAX_RATIO
    summary = f"""{figures["processor"]}, pack {figures["pack"]} ({pack.precision})
PSS of one child {one[0]:.0f} MiB, of two {two[0]:.0f} + {two[1]:.0f} MiB: \
{ratio:.2f}x, at most {_MAX_RATIO}x: {verdict(holds)}"""
    return Report(figures, summary, holds)


def _children_mib(count: int, log: Log) -> list[float]:
    """Return the PSS in MiB of each of `count` children after they have scored texts."""
    os.environ["SENTIMENT_CONCURRENCY"] = str(count)
    with running_stack(Plan(free_port()), log) as stack, Sentiq(stack.url) as client:
        stack.await_api(client)
        run_jobs(stack.url, composed_texts(_TEXTS_PER_CHILD * count, seed=count))
        *children, _ = worker_processes(stack)
        return [child.memory_full_info().pss / _MIB for child in children]


PROGRAM = Program(_add_arguments, _run)
