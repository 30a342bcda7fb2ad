"""Run the tests of the job store, the worker, and Redis as people run it, on each server of this machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.processes import ROOT
from tests.servers.found import Server, missing, servers

# What asks most of a server: every script, Celery, a child and a parent of a worker, and the tests here.
SUITES = (
    "tests/servers",
    "tests/tasks",
    "tests/worker/test_child.py",
    "tests/worker/test_parent.py",
    "tests/deploy/test_redis_users.py",
    "tests/acceptance/test_stops.py::test_a_node_of_a_cluster_is_refused_at_the_start",
)
_NO_TEST = 5  # pytest's code where a selection has none


def main() -> int:
    """Run the suites on each server; return 1 if a test failed, 2 if an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument(
        "--server", type=Path, action="append", default=[], help="a server program, besides those found"
    )
    parser.add_argument(
        "--only", default="", help="run those only whose name and version begin like this: 'Redis 7'"
    )
    options, for_pytest = parser.parse_known_args()
    try:
        found = servers(options.server)
    except ValueError as error:
        parser.error(str(error))
    _print_targets(found)
    chosen = [server for server in found if str(server).startswith(options.only)]
    if not chosen:
        parser.error(f"no server is called {options.only!r}")
    outcomes = {server: _run(server, for_pytest) for server in chosen}
    print(*(f"{server!s:14} {outcome}" for server, outcome in outcomes.items()), sep="\n")
    return int(any(outcome.startswith("FAILED") for outcome in outcomes.values()))


def _print_targets(found: Sequence[Server]) -> None:
    for server in found:
        print(f"{server!s:14} {server.path}")
    for target in missing(found):
        print(f"skipped: {target} is not here")
    sys.stdout.flush()


def _run(server: Server, for_pytest: Sequence[str]) -> str:
    print(f"\n{server}", flush=True)
    began = time.monotonic()
    # Arguments that name tests replace the suites.
    suites = () if any(Path(each.partition("::")[0]).exists() for each in for_pytest) else SUITES
    command = [sys.executable, "-m", "pytest", "-rs", "-m", "not long", *suites, *for_pytest]
    code = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"REDIS_SERVER": str(server.path)}, check=False
    ).returncode
    if code == _NO_TEST:
        return "no test is selected"
    return f"{'FAILED' if code else 'passed'} in {time.monotonic() - began:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
