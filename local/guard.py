"""Leads the process group of a stack and kills all of it once the program that started the stack is gone.

That program holds the other end of this one's standard input. The kernel closes it however the program ends,
`kill -9` included, and the group still holds the grandchildren (Celery's children, gunicorn's workers) whose
parents are dead.
"""

import os
import signal
import sys


def main() -> None:
    """Wait for the end of standard input, then kill the group, this process included."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
