"""Upload a million lines, stream the results, hold 1,500 waiting clients at one API process."""

from __future__ import annotations

import os
import resource
from argparse import ArgumentParser, Namespace
from typing import Any

from sentiq import Sentiq

from bench.load.long_polls import measure_wake_up
from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.upload import upload_and_read
from bench.program import Program, Report, as_json
from bench.report import machine
from bench.usage import worker_processes
from local.logs import Log
from local.ports import free_port
from local.processes import Group
from local.redis_server import start_redis
from local.stack import Plan, Stack, running_stack
from samples.shipped import read_reviews

_PACKAGES = ("flask", "gunicorn", "gevent", "redis", "pydantic")
_OPEN_FILES = 8192
_MAX_TEXT_CHARS = 40


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=1_000_000, help="lines of the upload (%(default)s)")
    parser.add_argument("--pollers", type=int, default=1000, help="clients that long-poll (%(default)s)")
    parser.add_argument("--streams", type=int, default=500, help="clients that read events (%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    _raise_file_limit()
    os.environ.update(LOAD_TEST_SETTINGS)
    # A few short texts: a child scores equal texts of a lease once, so that the model costs next to nothing.
    texts = [review.text for review in read_reviews() if len(review.text) <= _MAX_TEXT_CHARS]
    figures: dict[str, Any] = machine(_PACKAGES) | {"load_average": os.getloadavg()}
    with Group() as group:
        _, url = start_redis(group)
        with running_stack(Plan(free_port(), redis_url=url), log) as stack:
            with Sentiq(stack.url) as client:
                stack.await_api(client)
                stack.score(client, texts[0])
            print("uploading", options.items, "lines", flush=True)
            figures["upload"] = upload_and_read(stack, url, texts, options.items)
            print("holding", options.pollers, "pollers and", options.streams, "streams", flush=True)
            figures["held"] = _hold_clients(stack, options.pollers, options.streams)
    return Report(figures, as_json(figures))


def _hold_clients(stack: Stack, pollers: int, streams: int) -> dict[str, Any]:
    """Suspend the worker while the clients connect, so that their job cannot finish before all wait."""
    processes = worker_processes(stack)
    for process in processes:
        process.suspend()

    def resume() -> None:
        for process in processes:
            process.resume()

    return measure_wake_up(stack, pollers, streams, resume)


def _raise_file_limit() -> None:
    """Let this process and those it starts open a file for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))


PROGRAM = Program(_add_arguments, _run)
