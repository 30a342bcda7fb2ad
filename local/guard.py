"""Leads the process group of a stack, and kills the group when the program that started the stack ends.

That program holds the other end of the guard's standard input. The kernel closes it however the program
ends, `kill -9` included. The group also contains the grandchildren (Celery's children, gunicorn's workers),
even if their parents are dead.
"""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Wait for the end of standard input, then kill the group and this process with it."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
