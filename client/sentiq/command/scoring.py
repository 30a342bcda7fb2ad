"""Scores the texts of a table as jobs, and fetches their verdicts into the journal; each text once.

Every step is recorded before the next, so a run that is cut goes on where it was: an upload continues behind
the items that the service has recorded, and verdicts are read on from the last cursor.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from sentiq.client import Sentiq
from sentiq.command.exits import InputError, ServiceFault
from sentiq.command.run import Run
from sentiq.command.state import Fetched, Segment
from sentiq.command.texts import Limits, Lines
from sentiq.errors import ConflictError, SentiqConnectionError, SentiqError, UploadError
from sentiq.job import Job
from sentiq.tables.table import Table, Verdict

RUN = "sentiq_run"  # the metadata that finds a job whose id we did not get to know
_PAGE_ITEMS = 1000
_SAVE_EVERY_S = 0.5
_MIN_POLL_S, _MAX_POLL_S = 0.05, 1.0
_PATIENCE_S = 300.0  # as other requests; the service frees an upload whose request died after a minute
_ANEW = "Begin anew with --restart, which cancels the job."


class Watcher(Protocol):
    """Is told how far a run is."""

    def uploading(self, items: int) -> None:
        """So many texts of the run are read for the upload."""

    def scoring(self, items: int, total: int) -> None:
        """So many of `total` texts that are uploaded have a verdict."""


class Scoring:
    """A run from its texts to the journal."""

    def __init__(
        self, client: Sentiq, run: Run, table: Table, terms: Mapping[str, Any], watcher: Watcher
    ) -> None:
        """Ask the service for its limits. `terms` are those of each job."""
        self._client = client
        self._run = run
        self._table = table
        self._terms = terms
        self._watcher = watcher
        limits = client.info()["limits"]
        self._limits = Limits.of(limits)
        # A run that is cut may be taken up again after a weekend.
        self._kept = {
            "deadline_s": int(limits["max_deadline_s"]),
            "result_ttl_s": int(limits["max_result_ttl_s"]),
        }

    def finish(self) -> None:
        """Return when every text has its verdict in the journal. Raises CommandError and SentiqError."""
        state = self._run.state
        self._run.rewind()
        while True:
            segment = state.segment
            if segment.items is None:
                self._upload(segment)
            # A job whose verdicts are all here may have expired since.
            if segment.job and segment.items and state.fetched.items < segment.items:
                self._fetch(segment.job, segment.first, segment.items)
            if not segment.more:
                return
            state.segments.append(Segment(segment.first + (segment.items or 0)))
            state.fetched = Fetched(bytes=state.fetched.bytes)
            self._run.save()
            self._run.begun = False  # the service does not know the new segment

    # -- upload

    def _upload(self, segment: Segment) -> None:
        """Upload the texts of a job, those that the service has not recorded yet."""
        lines = Lines(self._table, segment.first, self._limits, self._watcher.uploading)
        known, recorded, give_up_at = self._run.begun, 0, time.monotonic() + _PATIENCE_S
        while True:
            job = find(self._client, segment) if known else None
            if job is not None and not job.raw["uploading"]:
                lines.count()
                break
            start = self._client.recorded(segment.key, **self._job_terms(segment)) if job else 0
            if start > recorded:
                recorded, give_up_at = start, time.monotonic() + _PATIENCE_S
            try:
                job = self._send(segment, lines, start)
                break
            except (UploadError, SentiqConnectionError, ConflictError) as error:
                pause = max(_MAX_POLL_S, error.retry_after or 0)
                if time.monotonic() + pause > give_up_at:
                    raise
                known = True
                time.sleep(pause)
        self._record(segment, job, lines)

    def _send(self, segment: Segment, lines: Lines, start: int) -> Job | None:
        """Send the lines from `start` on; return the job, None if there are no lines at all."""
        blocks = lines.blocks(start)
        first = next(blocks, b"")
        if not first and not start:
            return None
        rest: Iterator[bytes] = chain([first], blocks) if first else iter(())
        index = start or None
        terms = self._job_terms(segment)
        return self._client.upload(rest, idempotency_key=segment.key, from_index=index, **terms)

    def _record(self, segment: Segment, job: Job | None, lines: Lines) -> None:
        """Record a job that takes no more texts: whole, or cut short since nobody went on for ten minutes."""
        segment.items, segment.more = lines.items, lines.more
        if job is not None:
            segment.job, total = job.id, job.counts.total
            cut = (job.raw["error"] or {}).get("code") == "upload_incomplete"
            stopped = job.status in ("canceled", "canceling") or (job.status == "timed_out" and not cut)
            if total < lines.items and cut and not stopped:
                segment.items, segment.more = total, True
            elif total < lines.items and stopped:
                raise ServiceFault(f"Job {job.id} was {job.status} during the upload. {_ANEW}")
            elif total != lines.items:
                raise InputError(
                    f"Job {job.id} has {total:,} texts, the input {lines.items:,}: it has changed. {_ANEW}"
                )
        self._run.save()

    def _job_terms(self, segment: Segment) -> dict[str, Any]:
        return {**self._terms, **self._kept, "metadata": {RUN: segment.key}}

    # -- verdicts

    def _fetch(self, job_id: str, first: int, items: int) -> None:
        """Append the verdicts of a job to the journal, as they come."""
        fetched, job = self._run.state.fetched, self._client.job(job_id)
        saved, pause = time.monotonic(), _MIN_POLL_S
        while fetched.items < items:
            page = job.page(cursor=fetched.cursor, limit=_PAGE_ITEMS)
            self._run.append(_verdicts(page["data"], fetched.items))
            fetched.items += len(page["data"])
            fetched.cursor = page["next_cursor"]
            self._watcher.scoring(first + fetched.items, first + items)
            if page["complete"] and fetched.items < items:
                raise ServiceFault(
                    f"Job {job_id} has verdicts for {fetched.items:,} of {items:,} texts. {_ANEW}"
                )
            if time.monotonic() - saved > _SAVE_EVERY_S:
                self._run.save()
                saved = time.monotonic()
            if fetched.items < items and len(page["data"]) < _PAGE_ITEMS:
                time.sleep(pause)
                pause = min(pause * 2, _MAX_POLL_S)
            else:
                pause = _MIN_POLL_S
        self._run.save()


def find(client: Sentiq, segment: Segment) -> Job | None:
    """Return the job of a segment, None if the service has recorded nothing of it."""
    if segment.job:
        return client.job(segment.job)
    return next(client.jobs(metadata={RUN: segment.key}), None)


def cancel(client: Sentiq, segment: Segment) -> str | None:
    """Cancel the job of a segment, and return its id; None if there is none any more."""
    try:
        job = find(client, segment)
        return job.cancel().id if job else None
    except SentiqError as error:
        if error.status in (404, 410):
            return None
        raise


def _verdicts(items: Sequence[Mapping[str, Any]], start: int) -> list[Verdict]:
    """Return the verdicts of a page. Raises ServiceFault if they are not those that follow `start`."""
    if [item["index"] for item in items] != list(range(start, start + len(items))):
        raise ServiceFault(f"The service sent results out of order behind item {start:,}. Update it. {_ANEW}")
    return [_verdict(item) for item in items]


def _verdict(item: Mapping[str, Any]) -> Verdict:
    if item["error"]:
        return Verdict(error=item["error"]["code"])
    return Verdict(item.get("label"), item.get("confidence"), item.get("score"))
