"""Break a stack at random, by seeds, and check that nothing accepted is lost: docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from local.run_directory import make_run_directory
from local.stack import interrupt_on_signals
from tests.faults.campaign import running_campaign
from tests.faults.kinds import KINDS
from tests.faults.plan import Step, only, plan
from tests.faults.report import Seed, extent, failures, line, table, write

FAULTS = 8


def main() -> int:
    """Run the seeds; return 1 if a check failed, 130 on Ctrl-C."""
    options = _parser().parse_args()
    interrupt_on_signals()
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    folder = make_run_directory() / "faults"
    folder.mkdir(exist_ok=True)
    seeds: list[Seed] = []
    interrupted = False
    for lacking, kinds in _skipped().items():
        print(f"skipped: {', '.join(kinds)}: this machine has no {lacking}")
    try:
        for number in range(options.first, options.first + options.seeds):
            seeds.append(Seed(number, _command(number, options)))
            _attempt(seeds[-1], _steps(number, options), end)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        write(folder / "results.json", seeds)
    print(table(seeds))
    print(extent(seeds))
    print(failures(seeds) or f"all checks passed{' before the interruption' if interrupted else ''}")
    return 130 if interrupted else int(any(seed.failed for seed in seeds))


def _skipped() -> dict[str, list[str]]:
    """Return what the machine lacks, with the kinds of faults that need it."""
    skipped: dict[str, list[str]] = {}
    for kind in KINDS.values():
        if lacking := kind.lacks():
            skipped.setdefault(lacking, []).append(kind.name)
    return skipped


def _attempt(seed: Seed, steps: Sequence[Step], end: float) -> None:
    """Run a seed. Whatever breaks it off is its problem: the next seeds run, and its command is printed."""
    try:
        _run(seed, steps, end)
    except Exception as error:  # noqa: BLE001  a stack that does not start or stop may fail in any way
        traceback.print_exc()
        seed.problems.append(f"broken off after {len(seed.results)} faults: {error!r}")


def _run(seed: Seed, steps: Sequence[Step], end: float) -> None:
    folder = make_run_directory() / "faults" / f"seed-{seed.number}"
    with running_campaign(folder) as campaign:
        for number, step in enumerate(steps, 1):
            if time.monotonic() > end:
                print(f"seed {seed.number}: the time is over, {len(steps) - number + 1} faults are left")
                break
            seed.results.append(campaign.run(step))
            print(line(seed.number, number, seed.results[-1]), flush=True)
        seed.problems += campaign.finish()


def _steps(seed: int, options: argparse.Namespace) -> Sequence[Step]:
    if options.kinds:
        return only(options.kinds, seed, options.faults)
    return plan(seed, options.faults or FAULTS)


def _command(seed: int, options: argparse.Namespace) -> str:
    command = f"make faults SEEDS=1 FIRST={seed}"
    if options.faults or not options.kinds:
        command += f" FAULTS={options.faults or FAULTS}"
    return f"{command} KINDS={','.join(options.kinds)}" if options.kinds else command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many plans run")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--faults", type=int, help=f"faults of each plan; {FAULTS}, or all kinds once")
    parser.add_argument("--minutes", type=float, help="start no further fault after that time")
    parser.add_argument("--kinds", type=_kinds, help="only these kinds in turn, with commas")
    return parser


def _kinds(names: str) -> list[str]:
    kinds = names.split(",")
    if unknown := {kind for pair in kinds for kind in pair.split("+")} - set(KINDS):
        raise argparse.ArgumentTypeError(f"unknown: {sorted(unknown)}; known: {', '.join(sorted(KINDS))}")
    return kinds


if __name__ == "__main__":
    sys.exit(main())
