"""`make score`: start the stack on free ports, score a table with the command `sentiq`, and stop."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

from rich.console import Console
from sentiq import Sentiq

from local.logs import Log
from local.model import ModelError
from local.ports import free_port
from local.processes import ROOT, ProcessDiedError
from local.redis_server import RedisUnavailableError
from local.run_directory import RunDirectoryError, open_log
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from local.up import prepare_models
from tasks.console import replace_unencodable
from tasks.errors import ConfigurationError

_FIRST_TEXT = "服务很贴心"


def main() -> int:
    """Score the table; return the exit code of `sentiq score`, 1 if the stack cannot start, 130 on Ctrl-C."""
    replace_unencodable()
    interrupt_on_signals()
    parser = ArgumentParser(prog="python -m local.score", description=__doc__, allow_abbrev=False)
    parser.add_argument("file", type=Path)
    options, rest = parser.parse_known_args()  # the rest are options of `sentiq score`
    if not options.file.is_file():
        print(f"{options.file} is no file. Give the path of a table.", file=sys.stderr)
        return 1
    try:
        prepare_models()
        log = open_log("score")
    except (ConfigurationError, ModelError, RunDirectoryError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with log, running_stack(Plan(free_port()), Log(log)) as stack:
            _await(stack)
            return _score(stack, [str(options.file), *rest])
    except KeyboardInterrupt:
        print("\nStopped. The output is not written.", file=sys.stderr)
        return 130
    except (RedisUnavailableError, ProcessDiedError, StackError) as error:
        print(f"\n{error}\nFull log: {Path(log.name).relative_to(ROOT)}", file=sys.stderr)
        return 1


def _await(stack: Stack) -> None:
    """Wait for the first verdict, so that the command finds a service with its model."""
    with Sentiq(stack.url) as client, Console(stderr=True).status("starting Redis, API and worker"):
        stack.await_api(client)
        stack.score(client, _FIRST_TEXT)


def _score(stack: Stack, arguments: list[str]) -> int:
    """Run the command on this stack; return its exit code.

    It is out of reach of Ctrl-C, since its service would not survive that: we end both. What an earlier run
    left is of a service that is gone, too.
    """
    command = [sys.executable, "-m", "sentiq.command", "score", *arguments, "--restart"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SENTIQ_")}
    env |= {"SENTIQ_URL": stack.url, "PYTHONPATH": str(ROOT / "client")}
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, process_group=0)
    try:
        while process.poll() is None:
            stack.check()
            _wait(process)
    finally:
        process.kill()
        process.wait()
    return process.returncode


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return


if __name__ == "__main__":
    sys.exit(main())
