"""Waits for the end of a job with long polls."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from sentiq import calls
from sentiq.effects import Report, Sleep, Steps
from sentiq.errors import SentiqTimeoutError
from sentiq.models import Counts
from sentiq.reading import counts_of, field, json_of
from sentiq.retries import answered

RUNNING = {"queued", "running", "canceling"}
_WATCHED_WAIT_S = 1.0
_MIN_POLL_S = 0.2


def is_finished(body: Mapping[str, Any]) -> bool:
    """Return whether a job has ended."""
    return field(body, "status") not in RUNNING


def waited(
    job_id: str,
    retry_for: float,
    longest_s: float,
    timeout: float | None = None,
    *,
    progress: bool | Callable[[Counts], Any] = False,
) -> Steps[dict[str, Any]]:
    """Return the job when it has ended; one request waits `longest_s` at most.

    Raises SentiqTimeoutError after `timeout` seconds, or what the service was then failing with.
    """
    watch = write_progress if progress is True else progress or None
    end = None if timeout is None else time.monotonic() + timeout
    seen: Counts | None = None
    while True:
        wait_s = min(longest_s, _WATCHED_WAIT_S if watch else longest_s)
        if end is not None:
            wait_s = min(wait_s, max(0.0, round(end - time.monotonic(), 1)))
        begun = time.monotonic()
        patience = retry_for if end is None else min(retry_for, max(0.0, end - begun))
        body = json_of((yield from answered(calls.get_job(job_id, wait_s), patience)))
        if watch and counts_of(body) != seen:
            seen = counts_of(body)
            yield Report(watch, seen)
        if is_finished(body):
            return body
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise SentiqTimeoutError(f"Job {job_id} is {body['status']} after {timeout:g} s.")
        yield from _pause(body, time.monotonic() - begun, wait_s, left)


def _pause(body: dict[str, Any], took_s: float, wait_s: float, left_s: float | None) -> Steps[None]:
    """Sleep for what `poll_after_ms` asks, as far as the service has not waited itself."""
    if took_s < wait_s / 2:
        asked = max(_MIN_POLL_S, (body.get("poll_after_ms") or 1000) / 1000) - took_s
        yield Sleep(max(0.0, asked if left_s is None else min(asked, left_s)))


def write_progress(counts: Counts) -> None:
    """Write the counts to stderr, in one line."""
    ending = "\n" if counts.total and not counts.pending else ""
    sys.stderr.write(f"\r{counts.finished:,} of {counts.total:,} scored{ending}")
    sys.stderr.flush()
