"""What a parent sees of its children: their age, memory and rate."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tasks.store.workers import ChildStatus, ProcessStatus
from worker.process.fork_state import ReadyChildren

_WINDOW_S = 60.0


class Children:
    """Looks at the children once for each heartbeat, at files of /proc and at memory that they share."""

    def __init__(self, ready: ReadyChildren) -> None:
        self._ready = ready
        self._began = time.monotonic()
        self._looks: dict[int, deque[tuple[float, int]]] = {}

    def look(self, pids: Sequence[int]) -> ProcessStatus:
        """Return the processes as they are now."""
        self._looks = {pid: self._looks.get(pid, deque()) for pid in pids}
        return ProcessStatus(
            age_s=round(time.monotonic() - self._began, 1),
            memory_bytes=_memory(os.getpid()),
            replaced=self._ready.endings,
            children=[self._child(pid) for pid in sorted(pids)],
        )

    def _child(self, pid: int) -> ChildStatus:
        now, (ready, began, items) = time.monotonic(), self._ready.of(pid)
        looks = self._looks[pid]
        looks.append((now, items))
        # Before the first look it had finished none.
        while len(looks) > 1 and looks[1][0] < now - _WINDOW_S:
            looks.popleft()
        since, before = looks[0] if began is None or now - began > _WINDOW_S else (began, 0)
        rate = (items - before) / (now - since) if now > since else 0.0
        age_s = 0.0 if began is None else now - began
        return ChildStatus(pid, ready, round(age_s, 1), round(rate, 3), _memory(pid))


def _memory(pid: int) -> int | None:
    """Return the resident bytes of a process; None where /proc does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
