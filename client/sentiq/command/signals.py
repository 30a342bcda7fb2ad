"""Ctrl-C and the signals that end a program."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from rich.console import Console
from typing_extensions import Never


class TerminatedError(KeyboardInterrupt):
    """SIGTERM or SIGHUP: nobody is there to be asked."""


def interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does, unless they are ignored (nohup)."""
    for name in ("SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)  # Windows has no SIGHUP
        if signum is not None and signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _terminate)


def _terminate(_signum: int, _frame: FrameType | None) -> Never:
    raise TerminatedError


def wants_cancel(interrupt: KeyboardInterrupt, console: Console) -> bool:
    """Ask whether the job is to be canceled, if somebody can answer; else it goes on without us."""
    asked = console.is_terminal and sys.stdin.isatty() and not isinstance(interrupt, TerminatedError)
    if not asked:
        return False
    console.print("\nCancel the job (c), or detach and let the service go on (d)? [d] ", end="", markup=False)
    try:
        return sys.stdin.readline().strip().lower() in ("c", "cancel")
    except KeyboardInterrupt:
        return False
