"""Which children hold a working model, told by them to their parent, and where a worker runs."""

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from billiard import Array


def place() -> str:
    """Where pids mean the same: this host, this namespace of processes."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else 0}"


class ReadyChildren:
    """Pids of the children that are ready, one a slot of the pool; shared with them by fork."""

    def __init__(self, slots: int) -> None:
        self._pids = Array("i", slots)

    def add(self, slot: int) -> None:
        """Called by a child whose model has scored its first rows."""
        self._pids[slot] = os.getpid()

    def among(self, pids: Iterable[int]) -> int:
        """How many of the children that run are ready: one that died is not, nor the one in its place yet."""
        return len(set(self._pids) & set(pids))
