"""Scores texts: one as a job that is waited for, many as batches in flight."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from sentiq import calls
from sentiq.bodies import Lines
from sentiq.downloads import Download, items
from sentiq.effects import Call, Flow, Pull, Steps, mapped
from sentiq.errors import BusyError, NoVerdictError, SentiqConnectionError, SentiqError, ServiceError
from sentiq.models import Item, Verdict
from sentiq.reading import field, json_of, verdict_of
from sentiq.retries import answered
from sentiq.uploads import new_key, one_body, submitted, uploaded_lines
from sentiq.waiting import is_finished, waited

# The first batches are small, so that the first verdicts come soon.
_FIRST_BATCH = 64
_MAX_BATCH = 2048
_IN_FLIGHT = 4
# The result of a single text is read at once, or within the retries.
_ONE_TTL_S = 3600


def scored_one(
    text: str | Item, terms: Mapping[str, Any], retry_for: float, longest_s: float
) -> Steps[Verdict]:
    """Return the verdict on one text. Raises NoVerdictError if it has none."""
    body = one_body(text, {"result_ttl_s": _ONE_TTL_S, **terms})
    job = yield from submitted(body, new_key(), retry_for, longest_s)
    if not is_finished(job):
        job = yield from waited(field(job, "id"), retry_for, longest_s)
    if "results" not in job:
        call = calls.get_job(field(job, "id"), results=True)
        job = json_of((yield from answered(call, retry_for)))
    if not job["results"]:
        raise ServiceError(f"Job {job['id']} has no result.")
    verdict = verdict_of(job["results"][0])
    if verdict.error:
        raise NoVerdictError(verdict.error.message, code=verdict.error.code)
    return verdict


def scored_many(
    terms: Mapping[str, Any], retry_for: float, longest_s: float, in_flight: deque[str]
) -> Flow[Verdict]:
    """Yield the verdicts in the order of the texts; `in_flight` holds the jobs that are not read yet."""
    batches = _Batches(terms, retry_for, in_flight)
    while True:
        yield from batches.submit()
        if not in_flight:
            return
        job_id, offset = in_flight[0], batches.offsets.popleft()
        yield from waited(job_id, retry_for, longest_s)
        yield from mapped(items(Download(job_id), retry_for), partial(_at, offset))
        in_flight.popleft()
        yield from discarded(job_id, retry_for)


class _Batches:
    """Texts that are pulled and submitted in batches."""

    def __init__(self, terms: Mapping[str, Any], retry_for: float, in_flight: deque[str]) -> None:
        self.offsets: deque[int] = deque()  # the index of the first text of each job in flight
        self._terms = terms
        self._retry_for = retry_for
        self._in_flight = in_flight
        self._size = _FIRST_BATCH
        self._ended = False
        self._pulled = 0
        self._waiting: tuple[Lines, str, int] | None = None
        self._refused_until = 0.0

    def submit(self) -> Steps[None]:
        """Submit until enough is in flight, the texts end, or the service has no room beside what is."""
        if self._in_flight and time.monotonic() < self._refused_until:
            return
        while len(self._in_flight) < _IN_FLIGHT and (batch := (yield from self._next())):
            lines, key, offset = self._waiting = batch
            try:
                # Verdicts that are there are read first; the batch is submitted again with its key.
                patience = 0 if self._in_flight else self._retry_for
                job = yield from uploaded_lines(lines, key, self._terms, patience)
            except (BusyError, SentiqConnectionError) as error:
                if not self._in_flight:
                    raise
                self._refused_until = time.monotonic() + (error.retry_after or 0)
                return
            self._waiting = None
            lines.close()
            self._in_flight.append(field(job, "id"))
            self.offsets.append(offset)

    def _next(self) -> Generator[Any, Any, tuple[Lines, str, int] | None]:
        """Return the batch that waits, or pull another; None at the end."""
        if self._waiting or self._ended:
            return self._waiting
        texts = yield Pull(self._size)
        self._ended = len(texts) < self._size
        offset, self._pulled = self._pulled, self._pulled + len(texts)
        self._size = min(2 * self._size, _MAX_BATCH)
        return (Lines(texts), new_key(), offset) if texts else None


def _at(offset: int, item: Mapping[str, Any]) -> Verdict:
    return verdict_of(item, offset + int(field(item, "index")))


def discarded(job_id: str, retry_for: float) -> Steps[None]:
    """Delete a job that only this client knows. A key that may not delete leaves it to expire."""
    with suppress(SentiqError):
        yield from answered(Call("DELETE", calls.job_path(job_id)), retry_for)
