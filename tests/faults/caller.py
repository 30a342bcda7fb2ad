"""A client that repeats what may be repeated, as the documents say, and reports what no client may meet."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

# No call may take longer: what waits for Redis gives up after seconds, and no process is stopped for so long.
HANGS_S = 30.0
PATIENCE_S = 100.0  # an upload whose API process died is in flight for a minute
PAUSE_S = 0.1
REPEATABLE = {
    (400, "upload_incomplete"),
    (408, "body_timeout"),
    (409, "idempotency_key_in_flight"),
    (429, "rate_limited"),
}
JOB_ID = re.compile(r"job_\w+")


class UnexpectedAnswerError(Exception):
    """An answer that is neither expected nor worth another try."""


@dataclass
class Problems:
    """What contradicts a promise; any thread may add to it."""

    found: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, problem: str) -> None:
        with self._lock:
            if problem not in self.found:
                self.found.append(problem)

    def take(self) -> list[str]:
        with self._lock:
            taken, self.found = self.found, []
        return taken


class Caller:
    """Makes calls to an API, each on a connection of its own, so that all its processes answer."""

    def __init__(self, url: str, problems: Problems) -> None:
        self._http = httpx2.Client(
            base_url=url,
            timeout=HANGS_S,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        self._problems = problems
        self.patience_s = PATIENCE_S  # a fault that lasts longer than usual asks for more
        # The jobs of uploads that had ended when more of them came: the next call made another job.
        self.closed: set[str] = set()

    def call(
        self,
        method: str,
        path: str,
        expected: Collection[int],
        *,
        refused: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> httpx2.Response:
        """Repeat a call until its answer is expected; `content` may be a function that begins a body anew.

        `refused` is called after each try that broke, or that the service refused for want of Redis.

        Raises UnexpectedAnswerError for another answer, TimeoutError when there is none for so long.
        """
        end = time.monotonic() + self.patience_s
        last = ""
        while time.monotonic() < end:
            try:
                answer = self._http.request(method, path, **_begun(options))
            except httpx2.ReadTimeout:
                self._problems.add(f"no answer for {HANGS_S:.0f} s: {method} {path}")
                last = "no answer"
            except httpx2.TransportError as error:
                last = type(error).__name__
                refused()
            else:
                if answer.status_code in expected:
                    return answer
                last = self._judge(method, path, answer)
                if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
                    refused()
            time.sleep(PAUSE_S)
        raise TimeoutError(f"{method} {path}: {last} for {self.patience_s:.0f} s")

    def lines(self, path: str) -> Iterator[str]:
        """Yield the lines of a stream until it ends; raise a TransportError where it breaks."""
        headers = {"accept": "application/x-ndjson"}
        with self._http.stream("GET", path, headers=headers) as answer:
            if answer.status_code == httpx2.codes.OK:
                yield from answer.iter_lines()

    def close(self) -> None:
        self._http.close()

    def _judge(self, method: str, path: str, answer: httpx2.Response) -> str:
        """Return why an answer is no last word; raise UnexpectedAnswerError if it is."""
        code = code_of(answer)
        if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
            if "retry-after" not in answer.headers:
                self._problems.add(f"503 without Retry-After: {method} {path} {code}")
        elif code == "job_closed":
            self.closed.update(JOB_ID.findall(answer.json()["detail"]))
        elif (answer.status_code, code) not in REPEATABLE:
            raise UnexpectedAnswerError(f"{answer.status_code} {code}: {method} {path}")
        return f"{answer.status_code} {code}"


def _begun(options: dict[str, Any]) -> dict[str, Any]:
    content = options.get("content")
    return options | {"content": content()} if callable(content) else options


def code_of(answer: httpx2.Response) -> str:
    """Return the code of a problem document; empty if the answer is none."""
    try:
        return str(answer.json()["code"])
    except (ValueError, TypeError, KeyError):
        return ""
