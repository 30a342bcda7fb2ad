"""State that a parent and its children share across fork, and where a worker runs.

A child may be killed at any moment, with any lock in its hands: the slots have no lock, since one child at a
time writes to each.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Sequence
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


class ReadyChildren:
    """The children in each slot of the pool: how many have begun, and the pid of the last ready one."""

    def __init__(self, slots: int) -> None:
        self._begun = Array("i", slots, lock=False)
        self._pids = Array("i", slots, lock=False)

    def begin(self, slot: int) -> None:
        """Count a child that is about to load; the child calls this."""
        self._begun[slot] += 1

    def add(self, slot: int) -> None:
        """Mark the calling child as ready: its model has scored its first rows."""
        self._pids[slot] = os.getpid()

    def remove(self, slot: int) -> None:
        """Mark the calling child as sick: it scores no more and is about to exit."""
        self._pids[slot] = 0

    @property
    def restarts(self) -> int:
        """Return how many children took the place of another."""
        return sum(max(0, begun - 1) for begun in self._begun)

    def among(self, pids: Iterable[int]) -> int:
        """Return how many of the running children are ready; the successor of a dead one is not yet."""
        return len(set(self._pids) & set(pids))


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
