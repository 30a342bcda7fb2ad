"""One job that requests wait for: its record, read once for all of them, and the events that wake them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.errors import SentiqError
from tasks.store.jobs import JobStore, Page
from tasks.vocabulary.jobs import Job

# A record that was read longer ago is read again.
FRESH_S = 1.0
# Subscribers are woken in groups with a pause between them, so that other requests are served meanwhile: with
# 1,500 subscribers and one event for all, these took 2.4 s and more at the 95th percentile instead of 0.09 s.
_GROUP_SIZE, _MAX_GROUPS = 16, 256
_GROUPS_WITHOUT_PAUSE, _PAUSE_S = 2, 0.001


@dataclass(frozen=True, slots=True)
class WakeEvents:
    """Set by the next change of a job. Take them first, then read the job, then wait: nothing is missed."""

    finished: threading.Event
    changed: threading.Event


class JobWatch:
    """What all subscribers of one job share."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self.subscribers = 0
        self._joined = 0
        self._finished: dict[int, threading.Event] = {}
        self._changed: dict[int, threading.Event] = {}
        self._store = store
        self._id, self._owner = job.id, job.terms.owner
        self._version, self._read_version = 1, 0
        self._read_at = 0.0
        self._reading = threading.Lock()
        self._record: Job | SentiqError = job
        # Its first results, where they were read together with the record.
        self.page: Page | None = None
        self.items = job.counts.total

    def trust(self) -> None:
        """Take the record as the job is now, unless a message has come: none can have been missed."""
        if self._version == 1:
            self._read_version, self._read_at = 1, time.monotonic()

    def finish(self, job: Job, page: Page) -> None:
        """Wake all subscribers with the finished job and its first results, so that none of them reads it."""
        self.wake(finished=True)
        self._record, self.page = job, page
        self._read_version, self._read_at = self._version, time.monotonic()

    def next_group(self) -> int:
        """Return the number of the group that the next subscriber belongs to."""
        self._joined += 1
        return self._joined // _GROUP_SIZE % _MAX_GROUPS

    def wake_events(self, group: int) -> WakeEvents:
        """Return the events that the next change sets for a group."""
        return WakeEvents(
            self._finished.setdefault(group, threading.Event()),
            self._changed.setdefault(group, threading.Event()),
        )

    def wake(self, *, finished: bool) -> None:
        """Set the events of a change; those of `finished` too if the job did."""
        self._version += 1
        events, self._changed = list(self._changed.values()), {}
        if finished:
            events, self._finished = [*self._finished.values(), *events], {}
        if len(events) > _GROUPS_WITHOUT_PAUSE:
            threading.Thread(target=_set_all, args=(events,), daemon=True).start()
        else:
            _set_all(events)

    def job(self) -> Job:
        """Return the record. The first subscriber to ask after a change reads it for all."""
        with self._reading:
            if self._read_version < self._version or time.monotonic() - self._read_at > FRESH_S:
                version = self._version
                try:
                    self._record = self._store.job(self._id, self._owner)
                except SentiqError as error:
                    self._record = error
                self._read_version, self._read_at = version, time.monotonic()
            record = self._record
        if isinstance(record, SentiqError):
            raise record
        return record


def _set_all(events: Sequence[threading.Event]) -> None:
    for number, event in enumerate(events):
        if number >= _GROUPS_WITHOUT_PAUSE:
            time.sleep(_PAUSE_S)
        event.set()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One request that waits for a job."""

    watch: JobWatch
    group: int

    def wake_events(self) -> WakeEvents:
        """Return the events that the next change sets."""
        return self.watch.wake_events(self.group)

    def job(self) -> Job:
        """Return the record; see `JobWatch.job`."""
        return self.watch.job()

    @property
    def page(self) -> Page | None:
        """Return the first results of a finished job, if they were read with it."""
        return self.watch.page
