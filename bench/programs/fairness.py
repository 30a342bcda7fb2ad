"""Check that callers share the service by their weights, and measure what the lease script takes for it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiq import Sentiq

from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.owners import Owner, make_owner
from bench.program import BenchError, Program, Report
from bench.report import environment, spread, verdict
from bench.trees import trees
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT
from local.redis_server import redis_server
from local.stack import Plan, running_stack
from samples.composed import composed_texts
from tasks.settings import Settings

_SETTINGS = LOAD_TEST_SETTINGS | {
    "AUTH": "keys",
    "SENTIMENT_TARGET_WAIT_BULK_S": "1000000",
    "SENTIMENT_QUOTA_ITEMS": "100000000",
    "SENTIMENT_MAX_UPLOAD_ITEMS": "10000000",
}
_MAX_DEVIATION = 0.05
_MAX_LEASES = 1.5  # the window begins and ends in the middle of leases
_SMALL_ITEMS = 100
_SETTLE_S = 3  # until the children have learned their speed and the uploads are in
_WEIGHTS = (1, 3)

Bound = tuple[str, str, bool]  # what must hold, what was measured, whether it holds


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=100_000, help="of a large upload (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of each window of shares (%(default)s)")
    parser.add_argument("--owners", type=int, default=10, help="that share alike (%(default)s)")
    parser.add_argument("--seed", type=int, default=20260101, help="of the texts (%(default)s)")
    parser.add_argument("--chunks", type=int, default=10_000, help="that wait for the script (%(default)s)")
    parser.add_argument("--leases", type=int, default=300, help="of one run of the script (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the script (%(default)s)")
    parser.add_argument("--against", metavar="COMMIT", help="also measure the script of this commit, in turn")


def _run(options: Namespace, log: Log) -> Report:
    micros = _script_micros(options)
    bounds, rates = _live(options, log)
    figures = {**environment(), "bounds": bounds, "items_per_s": rates, "script_micros": micros}
    lines = [f"{verdict(holds)}   {bound:52} {measured}" for bound, measured, holds in bounds]
    lines.append(f"items/s: one owner {rates['one']:.0f}, {options.owners} owners {rates['many']:.0f}")
    for name, values in micros.items():
        lines.append(
            f"lease script, {name:30} {values['median']:6.0f} us ({values['min']:.0f} to {values['max']:.0f})"
        )
    return Report(figures, "\n".join(lines), all(holds for *_, holds in bounds))


def _live(options: Namespace, log: Log) -> tuple[list[Bound], dict[str, float]]:
    """Return the bounds of a running stack, and its rates with one owner and with many."""
    os.environ.update(_SETTINGS)
    url = f"http://127.0.0.1:{(port := free_port())}"
    with redis_server() as redis_url:
        alike = [make_owner(redis_url, url, f"owner {number}") for number in range(options.owners)]
        weighted = [make_owner(redis_url, url, f"weight {weight}", weight) for weight in _WEIGHTS]
        plan = Plan(port, redis_url=redis_url)
        with running_stack(plan, log) as stack, Sentiq(stack.url, alike[0].token) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
            texts = composed_texts(options.items, options.seed)
            late, one = _late_owner(alike[:2], texts)
            many = _shares(alike, texts, options.seconds)
            by_weight = _shares(weighted, texts, options.seconds)
            stack.check()
    bounds = [
        late,
        _share_bound("equal weights", alike, many, options.seconds),
        _share_bound("1 : 3", weighted, by_weight, options.seconds),
    ]
    return bounds, {"one": one, "many": sum(many) / options.seconds}


def _late_owner(owners: Sequence[Owner], texts: Sequence[str]) -> tuple[Bound, float]:
    """Return how long a few items take beside many, against alone at half the machine, and the rate alone."""
    large, small = owners
    few = texts[:_SMALL_ITEMS]
    small.wait(small.upload(few))
    alone_s = max(small.wait(small.upload(few)), Settings.read().lease_work_s)
    job, began = large.upload(texts), time.monotonic()
    before = large.done(job)
    time.sleep(_SETTLE_S)
    rate = (large.done(job) - before) / (time.monotonic() - began)
    beside_s = small.wait(small.upload(few))
    large.cancel(job)
    measured = f"{beside_s:.2f} s, alone {alone_s:.2f} s"
    bound = f"{_SMALL_ITEMS} items beside {len(texts)}: at most twice half the machine"
    return (bound, measured, beside_s <= 2 * 2 * alone_s), rate


def _shares(owners: Sequence[Owner], texts: Sequence[str], seconds: float) -> list[int]:
    """Return what of a large upload of each owner is scored in a time in which all of them wait."""
    jobs = [owner.upload(texts) for owner in owners]
    time.sleep(_SETTLE_S)
    before = [owner.done(job) for owner, job in zip(owners, jobs, strict=True)]
    time.sleep(seconds)
    after = [owner.done(job) for owner, job in zip(owners, jobs, strict=True)]
    for owner, job in zip(owners, jobs, strict=True):
        owner.cancel(job)
    if max(after) >= len(texts):
        raise BenchError(f"an owner had nothing left to wait for after {seconds:g} s: give more --items")
    return [late - early for early, late in zip(before, after, strict=True)]


def _share_bound(name: str, owners: Sequence[Owner], done: Sequence[int], seconds: float) -> Bound:
    weights, children = sum(owner.weight for owner in owners), len(os.sched_getaffinity(0))
    a_lease = Settings.read().lease_work_s / (seconds * children)  # as a part of all
    parts = [items / max(1, sum(done)) for items in done]
    fair = [owner.weight / weights for owner in owners]
    off = max(abs(part - share) / share for part, share in zip(parts, fair, strict=True))
    allowed = max(_MAX_DEVIATION, _MAX_LEASES * a_lease / min(fair))
    shown = " ".join(f"{part:.3f}" for part in parts)
    return f"{name}: shares within {allowed:.1%}", f"{shown}; {off:.1%} off", off <= allowed


def _script_micros(options: Namespace) -> dict[str, dict[str, float]]:
    """Return what a lease takes with one owner and with 1,000, of this tree and of a commit, in turn."""
    micros: dict[str, list[float]] = defaultdict(list)
    with trees(options.against) as paths:
        for _ in range(options.rounds):
            for tree, path in paths.items():
                for owners in (1, 1000):
                    micros[f"{tree}, {owners} owners"].append(_measure(path, owners, options))
    print({name: round(statistics.median(values)) for name, values in micros.items()}, flush=True)
    return {name: spread(values) for name, values in micros.items()}


def _measure(tree: Path, owners: int, options: Namespace) -> float:
    command = [sys.executable, str(ROOT / "bench" / "load" / "lease_cost.py")]
    arguments = map(str, (owners, options.chunks, options.leases))
    with redis_server() as redis_url:
        env = os.environ | _SETTINGS | {"REDIS_URL": redis_url, "PYTHONPATH": str(tree)}
        done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(done.stderr)
    read: dict[str, Any] = json.loads(done.stdout)
    return float(read["micros"])


PROGRAM = Program(_add_arguments, _run)
