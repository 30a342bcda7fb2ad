"""Jobs of a single text, each submitted and waited for by one of some callers at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from threading import local
from urllib.parse import urlsplit

from bench.program import BenchError

_CALLERS = 8
_HEADERS = {"Content-Type": "application/json", "Prefer": "wait=30"}


def run_single_jobs(url: str, texts: Sequence[str], callers: int = _CALLERS) -> None:
    """Submit a job for each text and wait for its verdict. Raise BenchError if one is not finished in time.

    http.client takes a tenth of the CPU time of httpx, so that the callers leave the cores to the service.
    """
    connections = local()
    opened: list[HTTPConnection] = []

    def run(text: str) -> str:
        if not hasattr(connections, "mine"):
            connections.mine = HTTPConnection(urlsplit(url).netloc, timeout=60)
            opened.append(connections.mine)
        return _run_job(connections.mine, text)

    try:
        with ThreadPoolExecutor(callers) as pool:
            for status in pool.map(run, texts):
                if status != "succeeded":
                    raise BenchError(f"a job is {status}")
    finally:
        for connection in opened:
            connection.close()


def _run_job(connection: HTTPConnection, text: str) -> str:
    connection.request("POST", "/v1/jobs", json.dumps({"text": text}), _HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status >= 400:  # noqa: PLR2004  errors begin there
        raise BenchError(f"a job got {answer.status}: {body.decode()}")
    return str(json.loads(body)["status"])


def short_texts(count: int, start: int = 0) -> list[str]:
    """Return distinct texts of about 13 characters."""
    return [f"第{number}家店的服务很贴心" for number in itertools.islice(itertools.count(start), count)]
