"""State that a parent and its children share across fork, and where a worker runs.

A child may be killed at any moment, with any lock in its hands: the slots have no lock, since one child at a
time writes to each.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Sequence
from enum import IntEnum
from pathlib import Path

from billiard import Array, Value

from tasks.vocabulary.labels import MAX_LABELS

_KNOWN_TEXTS = 2
_MAX_LOAD_FAILURES = 3
_MAX_REASON_BYTES = 1023


def host_id() -> str:
    """Return where a pid names one process: this host and this namespace of processes."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else 0}"


class Ending(IntEnum):
    """Why a child ended, by its own last word; one that was killed has none."""

    KILLED = 0
    SICK = 1
    NOT_LOADED = 2


class ReadyChildren:
    """The children in each slot of the pool: the last that began and the last that was ready, by pid.

    Also when the last one began, how many items it has finished, and why those before it ended.
    """

    def __init__(self, slots: int) -> None:
        self._begun, self._pids, self._last_words = (Array("i", slots, lock=False) for _ in range(3))
        self._begun_at = Array("d", slots, lock=False)
        self._items = Array("l", slots, lock=False)
        self._endings = [Array("i", slots, lock=False) for _ in Ending]

    def begin(self, slot: int) -> None:
        """Note a child that is about to load, and why the one before it ended; the child calls this."""
        if self._begun[slot]:
            self._endings[self._last_words[slot]][slot] += 1
        self._last_words[slot], self._items[slot] = Ending.KILLED, 0
        self._begun_at[slot] = time.monotonic()
        self._begun[slot] = os.getpid()

    def add(self, slot: int) -> None:
        """Mark the calling child as ready: its model has scored its first rows."""
        self._pids[slot] = os.getpid()

    def finished(self, slot: int, items: int) -> None:
        """Note that the calling child has finished so many items."""
        self._items[slot] += items

    def remove(self, slot: int, ending: Ending) -> None:
        """Mark the calling child as one that scores no more and is about to exit."""
        self._pids[slot] = 0
        self._last_words[slot] = ending

    @property
    def endings(self) -> dict[str, int]:
        """Return how many children were replaced, by why they had ended."""
        return {ending.name.lower(): sum(self._endings[ending]) for ending in Ending}

    @property
    def restarts(self) -> int:
        """Return how many children took the place of another."""
        return sum(self.endings.values())

    def among(self, pids: Iterable[int]) -> int:
        """Return how many of the running children are ready; the successor of a dead one is not yet."""
        return len(set(self._pids) & set(pids))

    def of(self, pid: int) -> tuple[bool, float | None, int]:
        """Return whether a child is ready, its begin by the monotonic clock, and the items it finished."""
        slots = [slot for slot, begun in enumerate(self._begun) if begun == pid]
        if not slots:
            return False, None, 0  # it was forked a moment ago
        return pid in self._pids, self._begun_at[slots[0]], self._items[slots[0]]


class Stopping:
    """Whether the worker has to stop: its children then take up nothing more."""

    def __init__(self) -> None:
        self._begun = Value("b", 0, lock=False)

    def begin(self) -> None:
        """Let the children know; the parent calls this."""
        self._begun.value = 1

    @property
    def begun(self) -> bool:
        """Return whether the worker has to stop."""
        return bool(self._begun.value)


class KnownLogits:
    """The logits that a worker's first child gave known texts; those of every child must be close to them."""

    # Children of one worker run the same kernels: what differs more is wrong.
    _TOLERANCE = 0.05

    def __init__(self) -> None:
        self._logits = Array("d", _KNOWN_TEXTS * MAX_LABELS, lock=False)
        self._known = Value("b", 0, lock=False)

    def agree(self, logits: Sequence[float]) -> bool:
        """Return whether these are close to the first child's; the first child's become the standard."""
        if not self._known.value:
            self._logits[: len(logits)] = list(logits)
            self._known.value = 1
        pairs = zip(logits, self._logits[: len(logits)], strict=True)
        return all(abs(logit - known) <= self._TOLERANCE for logit, known in pairs)


class LoadFailures:
    """How many children in a row could not load the model, and why the last one could not."""

    def __init__(self) -> None:
        self._count = Value("i", 0)
        self._reason = Array("c", _MAX_REASON_BYTES + 1)

    def add(self, reason: str) -> None:
        """Count a failure; a child that is about to exit calls this."""
        with self._count.get_lock():
            self._count.value += 1
            self._reason.value = reason.encode()[:_MAX_REASON_BYTES]

    def clear(self) -> None:
        """Forget the failures; a child that holds a working model calls this."""
        self._count.value = 0

    @property
    def reason(self) -> str:
        """Return why the last child could not load; empty when the last one could."""
        return self._reason.value.decode(errors="ignore") if self._count.value else ""

    @property
    def hopeless(self) -> bool:
        """Return whether starting further children would be a loop that looks like health."""
        return bool(self._count.value >= _MAX_LOAD_FAILURES)
