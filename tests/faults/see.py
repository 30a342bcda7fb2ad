"""Plant defects into a stack, one after the other, and check that the campaign finds each."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence

from local.processes import ROOT
from local.run_directory import make_run_directory
from local.stack import interrupt_on_signals
from tasks.store import scripts
from tests.faults.campaign import running_campaign
from tests.faults.plan import only
from tests.faults.planted.defects import DEFECTS, environment

_ONE = "--here"


def main() -> int:
    """Run the campaign with each defect; return 1 if one was not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.see", description=__doc__)
    parser.add_argument("defects", nargs="*", help=f"some of {', '.join(DEFECTS)}; without one, all")
    parser.add_argument(_ONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    interrupt_on_signals()
    if options.here:
        return int(not see(options.defects[0]))
    # A process each: this one's own scripts are changed too, by whose digests links lose answers.
    command = [sys.executable, "-m", "tests.faults.see", _ONE]
    missed = [
        name
        for name in options.defects or DEFECTS
        if subprocess.run([*command, name], cwd=ROOT, check=False).returncode
    ]
    print(f"missed: {', '.join(missed)}" if missed else "every planted defect was found")
    return int(bool(missed))


def see(name: str) -> bool:
    """Return whether the campaign finds a defect, and print how."""
    defect = DEFECTS[name]
    if defect.module == scripts.__name__:
        defect.patch(scripts)
    for problem in _problems(name, defect.kinds):
        print(f"{name}: found: {problem}", flush=True)
        return True
    print(f"{name}: MISSED: {defect.what}", flush=True)
    return False


def _problems(name: str, kinds: Sequence[str]) -> Iterator[str]:
    folder = make_run_directory() / "faults" / f"planted-{name}"
    folder.parent.mkdir(exist_ok=True)
    with running_campaign(folder, **environment(name)) as campaign:
        yield from campaign.problems.take()
        for seed, kind in enumerate(kinds):
            for step in only([kind], seed):
                yield from (f"{kind}: {problem}" for problem in campaign.run(step).problems)
        yield from campaign.finish()


if __name__ == "__main__":
    sys.exit(main())
