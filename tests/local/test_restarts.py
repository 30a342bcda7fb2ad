"""A process that may end: it is started again, each time later, and soon again once it was well."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import pytest

from local import processes
from local.logs import Log
from local.processes import Process, Restarted


def test_each_start_is_later_until_one_was_well(monkeypatch: pytest.MonkeyPatch) -> None:
    now, started, printed = [0.0], list[float](), io.StringIO()
    monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def start() -> Process:
        started.append(now[0])
        popen = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return Process("monitor", popen)

    monitor = Restarted(start, Log(printed))
    for seconds in (0, 0, 0, 0, 0, 0, 0, 0, 61, 0):
        monitor.process.end()
        now[0] += seconds
        monitor.attend()
        before = len(started)
        while len(started) == before:
            monitor.attend()
            now[0] += 0.25
    delays = [later - earlier for earlier, later in pairwise(started)]
    said = [line.rsplit(" in ", 1)[1] for line in printed.getvalue().splitlines()]
    assert said == ["1 s", "2 s", "4 s", "8 s", "16 s", "32 s", "60 s", "60 s", "1 s", "2 s"]
    assert [round(delay) for delay in delays] == [1, 2, 4, 8, 16, 32, 60, 60, 62, 2]
    assert "ended with exit code 0; starts again" in printed.getvalue()
