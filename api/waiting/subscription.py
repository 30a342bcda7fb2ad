"""What all who wait for one job share: one read of its record, and what wakes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.errors import SentiqError
from tasks.store.jobs import JobStore
from tasks.vocabulary.jobs import Job

# A record that was read so long ago is read again.
FRESH_S = 1.0
# A crowd is woken in groups with a breath between them, so that other requests get their turn meanwhile.
_GROUP, _GROUPS = 16, 256
_FEW, _BREATH_S = 2, 0.001


@dataclass(frozen=True, slots=True)
class Turn:
    """What will be set when something happens after it was taken; take it first, then read, then wait."""

    over: threading.Event
    changed: threading.Event


class Watch:
    """What all who wait for one job share: the record as it was read last, and what wakes them."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self.viewers = 0
        self._came = 0
        self._over: dict[int, threading.Event] = {}
        self._changed: dict[int, threading.Event] = {}
        self._store = store
        self._id, self._owner = job.id, job.terms.owner
        self._version, self._read_version = 1, 0
        self._read_at = 0.0
        self._reading = threading.Lock()
        self._found: Job | SentiqError = job

    def seat(self) -> int:
        """Return the number of a group: a crowd is woken group by group."""
        self._came += 1
        return self._came // _GROUP % _GROUPS

    def turn(self, seat: int) -> Turn:
        """Return what will be set for that group."""
        return Turn(
            self._over.setdefault(seat, threading.Event()), self._changed.setdefault(seat, threading.Event())
        )

    def touch(self, *, over: bool) -> None:
        """Wake those who follow the job, and if it is over those who wait for that."""
        self._version += 1
        waiting, self._changed = list(self._changed.values()), {}
        if over:
            waiting, self._over = [*self._over.values(), *waiting], {}
        if len(waiting) > _FEW:
            threading.Thread(target=_wake, args=(waiting,), daemon=True).start()
        else:
            _wake(waiting)

    def job(self) -> Job:
        """Return the record: whoever comes first after a change reads it for all."""
        with self._reading:
            if self._read_version < self._version or time.monotonic() - self._read_at > FRESH_S:
                version = self._version
                try:
                    self._found = self._store.job(self._id, self._owner)
                except SentiqError as error:
                    self._found = error
                self._read_version, self._read_at = version, time.monotonic()
            found = self._found
        if isinstance(found, SentiqError):
            raise found
        return found


def _wake(waiting: Sequence[threading.Event]) -> None:
    for number, event in enumerate(waiting):
        if number >= _FEW:
            time.sleep(_BREATH_S)
        event.set()


@dataclass(frozen=True, slots=True)
class View:
    """One of those who wait for a job."""

    watch: Watch
    seat: int

    @property
    def turn(self) -> Turn:
        """What will be set when something happens from now on."""
        return self.watch.turn(self.seat)

    def job(self) -> Job:
        """Return the record; see `Watch.job`."""
        return self.watch.job()
