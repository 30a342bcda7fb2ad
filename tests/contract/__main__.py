"""Runs schemathesis with all its checks against a service of its own, on free ports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sentiq import Sentiq

from api.auth.api_keys import ApiKeys
from api.auth.scopes import Scope
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT
from local.redis_server import redis_server
from local.run_directory import open_log
from local.stack import Plan, interrupt_on_signals, running_stack
from tasks.settings import Settings
from tasks.store.jobs import JobStore

_CONFIG = Path(__file__).with_name("schemathesis.toml")
_MIN_CASES = 2_000
_WIDTH = 400  # schemathesis prints whole bodies of megabytes
_ENVIRONMENT = {
    "AUTH": "keys",
    "SENTIMENT_WEBHOOK_ALLOW": "127.0.0.1",
    # The contract is checked here, not the limits on load.
    "SENTIMENT_TARGET_WAIT_INTERACTIVE_S": "3600",
    "SENTIMENT_RATE_PER_S": "10000",
    "SENTIMENT_RATE_BURST": "100000",
}


def main() -> int:
    """Return 0 if nothing failed in at least `_MIN_CASES` cases."""
    interrupt_on_signals()
    with redis_server() as redis_url, open_log("contract") as log:
        os.environ |= _ENVIRONMENT | {"REDIS_URL": redis_url}
        _, token = ApiKeys(JobStore.connect(Settings.read())).create("contract", list(Scope))
        plan = Plan(port=free_port(), redis_url=redis_url)
        with running_stack(plan, Log(log)) as stack, Sentiq(stack.url, token) as client:
            stack.await_api(client)
            stack.score(client, "等它醒来")
            status, cases = _run(stack.url, token)
            stack.check()
    if cases < _MIN_CASES:
        print(f"only {cases} cases; expected at least {_MIN_CASES}", file=sys.stderr)
        return 1
    return status


def _run(url: str, token: str) -> tuple[int, int]:
    """Return the exit status of schemathesis and how many cases it tried."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG)),
        *("run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}", "--checks", "all"),
        *("--max-examples", "140", "--continue-on-failure", "--no-color", *sys.argv[1:]),
    ]
    cases = 0
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    ) as run:
        for line in run.stdout or ():
            print(line.rstrip()[:_WIDTH], flush=True)
            if found := re.search(r"([\d,]+) generated", line):
                cases = int(found[1].replace(",", ""))
    return run.returncode, cases


if __name__ == "__main__":
    sys.exit(main())
