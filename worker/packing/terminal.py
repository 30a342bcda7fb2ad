"""Signals and logs of the programs that make packs."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Event

from tasks.console import replace_unencodable
from tasks.log_format import start_logging
from worker.packs.pack import PackError

INTERRUPTED = 130


def prepare_terminal() -> None:
    """Log each step as a line on standard error, and show progress bars only on a terminal.

    Raises PackError where the libraries that make packs are not installed.
    """
    start_logging("warning", "%(message)s")
    logging.getLogger("worker.packing").setLevel(logging.INFO)
    quiet = not sys.stderr.isatty()
    if quiet:
        os.environ["TQDM_DISABLE"] = "1"  # for ModelScope; read when tqdm is imported
    try:
        import nncf  # noqa: PLC0415
        import rich  # noqa: PLC0415
    except ImportError as error:
        raise PackError(f"making a pack needs {error.name}: make .venv/.models") from error
    nncf.set_log_level(logging.WARNING)
    rich.reconfigure(stderr=True, quiet=quiet)


def run_interruptible(main: Callable[[Event], int]) -> int:
    """Return the exit code of `main`, which SIGINT and SIGTERM unwind so that it leaves no partial pack.

    An event records the signal, because OpenVINO's converter may replace or swallow the KeyboardInterrupt.
    """
    replace_unencodable()
    stopped = Event()

    def stop(*_: object) -> None:
        stopped.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        return main(stopped)
    except (Exception, KeyboardInterrupt):
        if not stopped.is_set():
            raise
        return INTERRUPTED


def raise_if(stopped: Event) -> None:
    """Raise KeyboardInterrupt once a signal has come."""
    if stopped.is_set():
        raise KeyboardInterrupt
