"""Fuzz what reads the inputs of others: docs/reliability.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from local.run_directory import make_run_directory
from tests.fuzz.target import Finding, Run, Target, run
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Run all targets; return 1 if something was found, 130 on Ctrl-C."""
    options = _parser().parse_args()
    chosen = [TARGETS[name] for name in options.targets or TARGETS]
    begun, findings, inputs = time.monotonic(), list[Finding](), 0
    try:
        for target in chosen:
            done = run(target, _inputs_of(target, chosen, options.inputs), options.seed)
            print(_line(done), flush=True)
            findings += done.findings
            inputs += done.inputs
    except KeyboardInterrupt:
        return 130
    print(f"{inputs} inputs in {time.monotonic() - begun:.0f} s, seed {options.seed}")
    _keep(findings)
    return int(bool(findings))


def _inputs_of(target: Target, chosen: Sequence[Target], inputs: int) -> int:
    return max(1, inputs * target.share // sum(each.share for each in chosen))


def _line(done: Run) -> str:
    rate = done.inputs / max(done.seconds, 1e-9)
    verdict = f"{len(done.findings)} FINDINGS" if done.findings else "ok"
    return f"{done.target:14} {done.inputs:8} inputs {rate:9.0f}/s slowest {done.slowest_s:.3f} s  {verdict}"


def _keep(findings: Sequence[Finding]) -> None:
    """Write what was found, to become a file of the corpus when it is mended."""
    folder = make_run_directory() / "fuzz"
    for finding in findings:
        path = folder / finding.target / finding.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.data)
        print(f"\n{path}: {finding.data[:120]!r}\n{finding.what}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=50_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same inputs")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="some of them; without one, all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
