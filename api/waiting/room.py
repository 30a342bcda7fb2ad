"""Room for documents that come in: those of one caller wait for each other, so that few are held at once.

What waits is not read, and stays with its client and in the kernel. The oldest document of a caller never
waits, so one of them always goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent.event import Event

from api.waiting.turns import turns


@dataclass(eq=False)
class _Caller:
    """The documents of a caller, the oldest first, and the bytes of all."""

    documents: dict[Incoming, None] = field(default_factory=dict)
    size: int = 0
    waiting: int = 0

    def wake_next(self) -> None:
        """Wake the oldest document that waits and has room."""
        if self.waiting:
            for document in self.documents:
                if document.wanted and document.fits(document.wanted):
                    document.woken.set()
                    return


class Incoming:
    """A document that comes in: `size` bytes of it are held, and `wanted` more wait until it is `woken`."""

    def __init__(self, caller: _Caller, most: int) -> None:
        self.size = 0
        self._caller, self._most = caller, most
        self.wanted, self.woken = 0, Event()

    def add(self, size: int, within_s: float) -> float | None:
        """Count bytes; wait while other documents of the caller are too large.

        Returns the seconds that it waited, None if there was no room in time.
        """
        began = time.monotonic()
        while not self.fits(size):
            if not self._wait(size, began + within_s - time.monotonic()):
                return None
        self.size += size
        self._caller.size += size
        self._caller.wake_next()
        return time.monotonic() - began

    def fits(self, size: int) -> bool:
        """Return whether there is room for that many bytes."""
        oldest = next(iter(self._caller.documents))
        return self is oldest or self._caller.size - oldest.size + size <= self._most

    def _wait(self, size: int, left_s: float) -> bool:
        self.wanted = size
        self.woken.clear()
        self._caller.waiting += 1
        try:
            with turns.paused():
                return bool(self.woken.wait(max(0.0, left_s)))
        finally:
            self.wanted = 0
            self._caller.waiting -= 1


class Room:
    """The documents of all callers of a process."""

    def __init__(self) -> None:
        self._callers: dict[str, _Caller] = {}

    @property
    def size(self) -> int:
        """Return how many bytes of documents are held."""
        return sum(caller.size for caller in self._callers.values())

    @contextmanager
    def document(self, name: str, most: int) -> Iterator[Incoming]:
        """Give a document of a caller, until the block ends; all but its oldest hold at most `most` bytes."""
        caller = self._callers.setdefault(name, _Caller())
        incoming = Incoming(caller, most)
        caller.documents[incoming] = None
        try:
            yield incoming
        finally:
            del caller.documents[incoming]
            caller.size -= incoming.size
            if caller.documents:
                caller.wake_next()
            else:
                del self._callers[name]


room = Room()
