"""`make bench-api`: a large upload with its results, and many clients that wait at one API process."""

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import psutil

from bench.load.long_polls import NotHeldError, hold_and_wake
from bench.load.open_loop import UNHINDERED
from bench.load.upload import WrongResultsError, upload_and_read
from bench.report import machine
from local.client import Client
from local.logs import Log
from local.ports import free_port
from local.processes import ROOT, Group, ProcessDiedError
from local.redis_server import RedisUnavailableError, start_redis
from local.stack import Plan, Stack, StackError, interrupt_on_signals, running_stack
from samples.shipped import read_reviews

_LOG = ROOT / ".run" / "bench-api.log"
_PACKAGES = ("flask", "gunicorn", "gevent", "redis", "pydantic")
_FILES = 8192


def main() -> int:
    """Measure, print, and write the figures as JSON where asked."""
    options = _options()
    interrupt_on_signals()
    _LOG.parent.mkdir(exist_ok=True)
    _allow_files()
    os.environ.update(UNHINDERED)
    try:
        with _LOG.open("w", encoding="utf-8") as file:
            report = _measure(options, Log(file))
    except KeyboardInterrupt:
        return 130
    except (RedisUnavailableError, ProcessDiedError, StackError, WrongResultsError, NotHeldError) as error:
        print(f"\n{error}\nThe whole log: {_LOG.relative_to(ROOT)}", file=sys.stderr)
        return 1
    print(json.dumps(report, ensure_ascii=False, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000, help="lines of the upload (%(default)s)")
    parser.add_argument("--pollers", type=int, default=1000, help="clients that long-poll (%(default)s)")
    parser.add_argument("--streams", type=int, default=500, help="clients that read events (%(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def _measure(options: argparse.Namespace, log: Log) -> dict[str, Any]:
    # The model is not what is measured: few texts, which a child scores once a lease however often they come.
    texts = [review.text for review in read_reviews() if len(review.text) <= 40]  # noqa: PLR2004
    report: dict[str, Any] = machine(_PACKAGES) | {"load_average": os.getloadavg()}
    with Group() as group:
        _, url = start_redis(group)
        with running_stack(Plan(free_port(), redis_url=url), log) as stack:
            with Client(stack.url) as client:
                stack.await_api(client)
                stack.score(client, texts[0])
            print("uploading", options.items, "lines", flush=True)
            report["upload"] = upload_and_read(stack, url, texts, options.items)
            print("holding", options.pollers, "pollers and", options.streams, "streams", flush=True)
            report["held"] = _hold(stack, options)
    return report


def _hold(stack: Stack, options: argparse.Namespace) -> dict[str, Any]:
    """While the clients come, the worker stands still."""
    worker = next(psutil.Process(process.pid) for process in stack.processes if process.name == "worker")
    processes = [*worker.children(), worker]
    for process in processes:
        process.suspend()

    def let_go() -> None:
        for process in processes:
            process.resume()

    return hold_and_wake(stack, options.pollers, options.streams, let_go)


def _allow_files() -> None:
    """Let this process and those it starts open a file for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_FILES, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
