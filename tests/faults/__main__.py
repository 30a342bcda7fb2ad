"""Break a stack at random, by seeds, and check that nothing accepted is lost: docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from local.run_directory import make_run_directory
from local.stack import interrupt_on_signals
from tests.faults.campaign import running_campaign
from tests.faults.kinds import KINDS
from tests.faults.plan import Step, only, plan
from tests.faults.report import Seed, failures, line, table, write


def main() -> int:
    """Run the seeds; return 1 if a check failed, 130 on Ctrl-C."""
    options = _parser().parse_args()
    interrupt_on_signals()
    end = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    folder = make_run_directory() / "faults"
    folder.mkdir(exist_ok=True)
    seeds: list[Seed] = []
    for lacking, kinds in _skipped().items():
        print(f"skipped: {', '.join(kinds)}: this machine has no {lacking}")
    try:
        for number in range(options.first, options.first + options.seeds):
            seeds.append(Seed(number, _command(number, options)))
            _run(seeds[-1], _steps(number, options), end)
    except KeyboardInterrupt:
        return 130
    finally:
        write(folder / "results.json", seeds)
    print(table(seeds))
    print(failures(seeds) or "all checks passed")
    return int(any(seed.failed for seed in seeds))


def _skipped() -> dict[str, list[str]]:
    """Return what the machine lacks, with the kinds of faults that need it."""
    skipped: dict[str, list[str]] = {}
    for kind in KINDS.values():
        if lacking := kind.lacks():
            skipped.setdefault(lacking, []).append(kind.name)
    return skipped


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
    return only(options.kinds, seed) if options.kinds else plan(seed, options.faults)


def _command(seed: int, options: argparse.Namespace) -> str:
    what = f"KINDS={','.join(options.kinds)}" if options.kinds else f"FAULTS={options.faults}"
    return f"make faults SEEDS=1 FIRST={seed} {what}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many plans run")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one")
    parser.add_argument("--faults", type=int, default=8, help="faults of each plan")
    parser.add_argument("--minutes", type=float, help="start no further fault after that time")
    parser.add_argument("--kinds", type=_kinds, help="instead of a plan: these kinds, with commas")
    return parser


def _kinds(names: str) -> list[str]:
    kinds = names.split(",")
    if unknown := {kind for pair in kinds for kind in pair.split("+")} - set(KINDS):
        raise argparse.ArgumentTypeError(f"unknown: {sorted(unknown)}; known: {', '.join(sorted(KINDS))}")
    return kinds


if __name__ == "__main__":
    sys.exit(main())
