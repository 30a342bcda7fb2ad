"""The log of a stack: one stream, each line with its time and the name of its process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TextIO

from tasks.log_format import one_line

_COLOURS = {"redis": 35, "api": 36, "worker": 32, "flower": 33}
_WIDTH = max(len(name) for name in _COLOURS)


class Log:
    """Writes whole lines from several threads. Colours prefixes on a terminal unless NO_COLOR is set."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write one line of the process `name`, without control characters."""
        prefix = f"{time.strftime('%H:%M:%S')} {name.ljust(_WIDTH)} │"
        if self._coloured:
            prefix = f"\033[{_COLOURS.get(name, 1)}m{prefix}\033[0m"
        # A closed terminal or file must not end the threads that read the output of the processes.
        with self._lock, contextlib.suppress(OSError, ValueError):
            print(prefix, one_line(text), file=self._stream, flush=True)
