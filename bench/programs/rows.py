"""Upload a million CSV rows and read them back beside their verdicts: the API's memory stays flat."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import Any

from sentiq import Sentiq

from bench.load.open_loop import LOAD_TEST_SETTINGS
from bench.load.rows import upload_and_join
from bench.program import Program, Report, as_json
from bench.report import machine
from local.logs import Log
from local.ports import free_port
from local.processes import Group
from local.redis_server import start_redis
from local.stack import Plan, running_stack
from samples.shipped import read_reviews

_PACKAGES = ("flask", "gunicorn", "gevent", "redis", "pydantic")
_MAX_GROWTH_MB = 20
_TEXTS, _MAX_TEXT_CHARS = 50, 40


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the upload (%(default)s)")
    parser.add_argument("--charset", choices=["utf-8", "gb18030"], default="gb18030", help="(%(default)s)")


def _run(options: Namespace, log: Log) -> Report:
    # A few short texts, which the children remember: the model costs next to nothing.
    os.environ.update(LOAD_TEST_SETTINGS | {"SENTIMENT_CACHE_ROWS": "1000"})
    texts = [review.text for review in read_reviews() if len(review.text) <= _MAX_TEXT_CHARS][:_TEXTS]
    figures: dict[str, Any] = machine(_PACKAGES) | {"load_average": os.getloadavg()}
    with Group() as group:
        _, url = start_redis(group)
        with running_stack(Plan(free_port(), redis_url=url), log) as stack:
            with Sentiq(stack.url) as client:
                stack.await_api(client)
                stack.score(client, texts[0])
            print("uploading", options.rows, "rows", flush=True)
            figures |= upload_and_join(stack, url, texts, options.rows, options.charset)
    growth = figures["api_rss_growth_mb"]
    verdict = f"memory of the API grew by {growth} MB; at most {_MAX_GROWTH_MB} MB are flat"
    return Report(figures, f"{as_json(figures)}\n{verdict}", holds=growth <= _MAX_GROWTH_MB)


PROGRAM = Program(_add_arguments, _run)
