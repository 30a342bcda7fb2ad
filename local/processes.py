"""Child processes that end with this program, however it ends."""

from __future__ import annotations

import collections
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from local import guard
from local.logs import Log
from tasks.log_format import one_line

ROOT = Path(__file__).resolve().parent.parent
_TAIL_LINES = 20
_POLL_S = 0.05
_RESTART_DELAY_S = 1
_MAX_RESTART_DELAY_S = 60


class Group:
    """A process group with a guard, which kills the group when the context or this program ends.

    It is not the foreground group of the terminal: Ctrl-C reaches only this program, which stops the
    others in the right order.
    """

    def __enter__(self) -> Self:
        """Start the guard."""
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, process_group=0
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Kill every process of the group that still runs."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()

    @property
    def pid(self) -> int:
        """Return the pid of the guard, which is the number of the process group."""
        return self._guard.pid

    def popen(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        keep_open: Iterable[int] = (),
        stdin: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command in the root of the repository, with stdout and stderr in one pipe."""
        return subprocess.Popen(
            command,
            env=env,
            cwd=ROOT,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=self._guard.pid,
            pass_fds=tuple(keep_open),
        )


class ProcessDiedError(Exception):
    """A process ended that should still run; the message has its last lines."""


class Process:
    """A named process; a thread copies its output to the log and keeps the last lines."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Log | None = None) -> None:
        self.name = name
        self.pid = popen.pid
        self._popen = popen
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        self._reader = threading.Thread(target=self._read, args=(popen.stdout, log), daemon=True)
        self._reader.start()

    def _read(self, output: IO[bytes], log: Log | None) -> None:
        for raw in output:
            text = one_line(raw.decode(errors="replace").rstrip())
            if text:
                self._tail.append(text)
                if log:
                    log.line(self.name, text)

    @property
    def running(self) -> bool:
        """Return whether the process still runs."""
        return self._popen.poll() is None

    def check(self) -> None:
        """Raise ProcessDiedError if the process has ended."""
        if self.running:
            return
        self._reader.join(timeout=1)
        output = "\n".join(f"    {line}" for line in self._tail) or "    (nothing)"
        raise ProcessDiedError(f"{self.name} {self.end()}. Its last output:\n{output}")

    def end(self) -> str:
        """Wait until the process ends and return how it ended."""
        code = self._popen.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._popen.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._popen.kill()


class Restarted:
    """A process that the service does not need: whenever it ends, it is started again, each time later.

    One that has run for long was well, and its next start is soon.
    """

    def __init__(self, start: Callable[[], Process], log: Log) -> None:
        """Start the process."""
        self._start = start
        self._log = log
        self._delay_s = _RESTART_DELAY_S
        self._due: float | None = None
        self._began = time.monotonic()
        self.process = start()

    def attend(self) -> None:
        """Start the process again if it has ended and its delay is over; return at once."""
        if self._due is None and not self.process.running:
            if time.monotonic() - self._began > _MAX_RESTART_DELAY_S:
                self._delay_s = _RESTART_DELAY_S
            self._due = time.monotonic() + self._delay_s
            self._log.line(self.process.name, f"{self.process.end()}; starts again in {self._delay_s} s")
            self._delay_s = min(2 * self._delay_s, _MAX_RESTART_DELAY_S)
        elif self._due is not None and time.monotonic() >= self._due:
            self._due, self._began = None, time.monotonic()
            self.process = self._start()


def stop(processes: Iterable[Process], grace_s: float) -> None:
    """Send SIGTERM to all, and SIGKILL to those that still run after the grace period."""
    running = list(processes)
    for process in running:
        process.terminate()
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and any(process.running for process in running):
        time.sleep(_POLL_S)
    for process in running:
        if process.running:
            process.kill()
