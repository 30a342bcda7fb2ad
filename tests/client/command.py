"""The command `sentiq`, run as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.processes import ROOT


def environment(folder: Path, url: str, **variables: str) -> Mapping[str, str]:
    """An environment whose home is the folder, so that no profile or state of this machine counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SENTIQ_", "XDG_"))}
    ours = {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "client"),
        "COLUMNS": "100",
        "PYTHONIOENCODING": "utf-8",
    }
    return kept | ours | ({"SENTIQ_URL": url} if url else {}) | variables


def sentiq(
    folder: Path, url: str, *arguments: str, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a folder until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "sentiq.command", *arguments],
        cwd=folder,
        env=environment(folder, url, **variables),
        input=stdin,
        capture_output=True,
        timeout=100,
        check=False,
    )


def started(folder: Path, url: str, *arguments: str, terminal: int | None = None) -> subprocess.Popen[bytes]:
    """Start the command in a folder; its output goes to pipes, or stdin and stderr are a terminal."""
    # A shell lets background processes ignore SIGINT, and their children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        [sys.executable, "-m", "sentiq.command", *arguments],
        cwd=folder,
        env=environment(folder, url),
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if terminal is None else terminal,
    )
