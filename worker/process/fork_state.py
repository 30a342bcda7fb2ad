"""Which children hold a working model, told by them to their parent, and where a worker runs."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from billiard import Array


def host_id() -> str:
    """Where pids mean the same: this host, this namespace of processes."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else 0}"


class ReadyChildren:
    """The child in each slot of the pool: how many began there, and the pid of the one that was ready last.

    Shared by fork, without locks: a child that is killed would keep one, and a slot has one child at a time.
    """

    def __init__(self, slots: int) -> None:
        self._begun = Array("i", slots, lock=False)
        self._pids = Array("i", slots, lock=False)

    def begin(self, slot: int) -> None:
        """Called by a child before it loads."""
        self._begun[slot] += 1

    def add(self, slot: int) -> None:
        """Called by a child whose model has scored its first rows."""
        self._pids[slot] = os.getpid()

    @property
    def restarts(self) -> int:
        """How many children took the place of another."""
        return sum(max(0, begun - 1) for begun in self._begun)

    def among(self, pids: Iterable[int]) -> int:
        """How many of the children that run are ready: one that died is not, nor the one in its place yet."""
        return len(set(self._pids) & set(pids))
