"""Reads results. What was cut off is resumed at the last cursor, without what has arrived since."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from sentiq import calls
from sentiq.effects import Call, Emit, Flow, Read, Reply, Sleep
from sentiq.errors import BusyError, GoneError, SentiqConnectionError, SentiqError
from sentiq.models import JobEvent
from sentiq.retries import Patience, passes, sent

# The service reads the items of such a segment at once, so that it can name the cursor behind them.
_SEGMENT_ITEMS = 2000
_GONE = {"job_not_found", "job_expired", "job_deleted", "job_lost"}
_NOT_NOW_S = 1.0


@dataclass(frozen=True)
class Download:
    """Which results are read, and from where."""

    job_id: str
    follow: bool = False
    cursor: str | None = None
    status: str | None = None

    def call(self, accept: str, **query: str | int | None) -> Call:
        """Return the request for one segment."""
        given = {"follow": self.follow or None, "cursor": self.cursor, "status": self.status, **query}
        path = calls.job_path(self.job_id, "/results")
        return Call("GET", path, calls.terms_query(given), {"accept": accept}, stream=True)


def items(download: Download, retry_for: float) -> Flow[dict[str, Any]]:
    """Yield the items as they came, segment by segment."""
    patience, arrived = Patience(retry_for), 0
    while True:
        segment = _Segment(arrived)
        try:
            yield from segment.read(download.call(calls.NDJSON, limit=_SEGMENT_ITEMS))
        except SentiqError as error:
            if not passes(error):
                raise
            if segment.arrived > arrived or (download.follow and segment.heard):
                patience.renew()
            arrived = segment.arrived
            yield patience.pause(error)
            continue
        patience.renew()
        cursor, short = segment.end.get("next_cursor"), segment.end["returned"] < _SEGMENT_ITEMS
        if cursor is None or (not download.follow and _is_last(download, cursor, short=short)):
            return
        if download.follow and short:
            yield Sleep(_NOT_NOW_S)  # the service has too many that wait, or is stopping
        download, arrived = replace(download, cursor=cursor), 0


def _is_last(download: Download, cursor: str, *, short: bool) -> bool:
    """Return whether a segment ends at an unfinished item; a short one of a filter may just match little."""
    return cursor == download.cursor or (short and download.status is None)


class _Segment:
    """One response: the first `skip` items are passed over, because they arrived before."""

    def __init__(self, skip: int) -> None:
        self.arrived = skip
        self.end: dict[str, Any] = {}
        self.heard = False
        self._skip = skip
        self._seen = 0

    def read(self, call: Call) -> Flow[dict[str, Any]]:
        """Yield the items, and keep the last line. Raises SentiqConnectionError if there is none."""
        yield from sent(call)
        rest = b""
        while block := (yield Read()):
            self.heard = True
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                if line.strip():
                    yield from self._take(json.loads(line))
        if not self.end:
            raise SentiqConnectionError("The results were cut off.")
        if code := self.end.get("error"):
            kind = GoneError if code in _GONE else BusyError
            raise kind("The results ended early.", code=code, status=503 if kind is BusyError else 410)

    def _take(self, line: dict[str, Any]) -> Flow[dict[str, Any]]:
        if line.get("object") == "end":
            self.end = line
            return
        self._seen += 1
        if self._seen > self._skip:
            self.arrived = self._seen
            yield Emit(line)


def rows(download: Download, retry_for: float, **query: str | int | None) -> Flow[bytes]:
    """Yield the results as CSV, segment by segment; the header comes once. A follower is one segment."""
    patience, arrived, first = Patience(retry_for), 0, True
    limit = None if download.follow else _SEGMENT_ITEMS
    while True:
        segment = _Rows(arrived, header=first)
        bom = query.get("bom") if first else None
        try:
            yield from segment.read(download.call("text/csv", **{**query, "bom": bom, "limit": limit}))
        except SentiqError as error:
            if not passes(error) or (download.follow and segment.arrived):
                raise
            if segment.arrived > arrived:
                patience.renew()
            arrived = segment.arrived
            yield patience.pause(error)
            continue
        patience.renew()
        cursor = segment.cursor
        if cursor is None or cursor == download.cursor:
            return
        download, arrived, first = replace(download, cursor=cursor), 0, False


class _Rows:
    """One response of CSV: the first `skip` bytes, and the header of a later segment, are passed over."""

    def __init__(self, skip: int, *, header: bool) -> None:
        self.arrived = skip
        self.cursor: str | None = None
        self._seen = 0
        self._in_header = not header
        self._quoted = False

    def read(self, call: Call) -> Flow[bytes]:
        """Yield the bytes, and keep the cursor."""
        reply: Reply = yield from sent(call)
        if reply.headers.get("x-complete") == "false":
            self.cursor = reply.headers.get("x-next-cursor")
        while block := (yield Read()):
            body = self._behind_header(block) if self._in_header else block
            fresh = body[max(0, self.arrived - self._seen) :]
            self._seen += len(body)
            self.arrived = max(self.arrived, self._seen)
            if fresh:
                yield Emit(fresh)

    def _behind_header(self, block: bytes) -> bytes:
        """Return what is behind the header, which ends with the first line break outside of quotes."""
        for place, byte in enumerate(block):
            if byte == 0x22:  # noqa: PLR2004  a quote
                self._quoted = not self._quoted
            elif byte == 0x0A and not self._quoted:  # noqa: PLR2004  a line break
                self._in_header = False
                return block[place + 1 :]
        return b""


def events(job_id: str, retry_for: float) -> Flow[JobEvent]:
    """Yield the events of a job until it ends; a stream that was cut is resumed behind the last event."""
    patience, last = Patience(retry_for), ""
    while True:
        headers = {"accept": "text/event-stream", **({"last-event-id": last} if last else {})}
        try:
            call = Call("GET", calls.job_path(job_id, "/events"), headers=headers, stream=True)
            reply: Reply = yield from sent(call)
            if reply.status == 204:  # noqa: PLR2004  nothing comes behind the last event
                return
            rest = b""
            while block := (yield Read()):
                patience.renew()  # a heartbeat too says that the service is there
                *found, rest = (rest + block).split(b"\n\n")
                for event in filter(None, map(_event, found)):
                    last = event.id
                    yield Emit(event)
                    if event.event in ("done", "gone"):
                        return
            raise SentiqConnectionError("The events were cut off.")
        except SentiqError as error:
            if not passes(error):
                raise
            pause = patience.pause(error)
        yield pause


def _event(block: bytes) -> JobEvent | None:
    """Return an event; None for a heartbeat."""
    fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
    return JobEvent(fields["event"], fields["id"], json.loads(fields["data"])) if "data" in fields else None
