"""The directory `.run` of this checkout: data, logs and packs, for the eyes of its owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from local.processes import ROOT

RUN = ROOT / ".run"


class RunDirectoryError(Exception):
    """`.run` cannot be made or used; the message says why."""


def make_run_directory() -> Path:
    """Return `.run`, made if it is missing; only its owner may enter it. Raises RunDirectoryError.

    This program and those that it starts afterwards make only files that other users cannot read.
    """
    os.umask(0o077)
    try:
        RUN.mkdir(exist_ok=True)
        RUN.chmod(0o700)
    except OSError as error:
        raise RunDirectoryError(f"{RUN} cannot be used: {error.strerror}") from error
    if not os.access(RUN, os.W_OK | os.X_OK):
        raise RunDirectoryError(f"{RUN} cannot be used: this user may not write to it")
    return RUN


def open_log(name: str) -> TextIO:
    """Open the log `.run/NAME.log` of a program, emptied. Raises RunDirectoryError."""
    path = make_run_directory() / f"{name}.log"
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be written: {error.strerror}") from error
