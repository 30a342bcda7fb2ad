"""`python -m worker`: a worker for one pack, or one for each of PACKS, which share the cores.

Options are those of `celery worker`. One Celery parent serves one pack, since it hands a wake-up to any free
child.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from tasks.errors import ConfigurationError
from tasks.settings import Settings
from worker.process.cpu import cpu_budget, pin
from worker.process.sharing import Share, shares_of

_CELERY = ("celery", "-A", "worker.main", "worker", "--without-gossip", "--without-mingle")
_POLL_S = 0.2
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def main(arguments: Sequence[str]) -> int:
    """Become the one worker; of several, run all until one ends, and return its exit code."""
    try:
        settings = Settings.read()
        # On a GPU each pack has one child, as a pack alone has there.
        children = settings.concurrency or (1 if settings.device == "cuda" else None)
        shares = shares_of(settings.packs, cpu_budget().at_most(settings.cores), children)
    except ConfigurationError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    if not shares:
        os.execv(sys.executable, [sys.executable, "-m", *_CELERY, *arguments])  # noqa: S606  no shell needed
    return _run(shares, arguments)


def _start(share: Share, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *_CELERY, *arguments, f"--hostname={share.name}-{os.getpid()}@%h"]
    # No thread runs yet that a fork could break.
    pin_first = partial(pin, share.cores) if share.cores else None
    return subprocess.Popen(command, env=_environment(share), preexec_fn=pin_first)  # noqa: PLW1509, S603


def _environment(share: Share) -> Mapping[str, str]:
    names = Settings.variables()
    given = {
        names["pack"]: share.directory,
        names["model_name"]: share.name,
        names["concurrency"]: str(share.children),
        names["cores"]: str(share.count),
    }
    return {name: value for name, value in os.environ.items() if name != names["packs"]} | given


def _run(shares: Sequence[Share], arguments: Sequence[str]) -> int:
    """Start the workers and pass signals on; when one ends, end the others and return its exit code."""
    processes: list[subprocess.Popen[bytes]] = []
    received: list[int] = []

    def pass_on(signum: int, _: object) -> None:
        received.append(signum)
        for process in processes:
            process.send_signal(signum)

    # Before the first worker: a signal would end this process and leave that one behind.
    for signum in _STOPPING:
        signal.signal(signum, pass_on)
    processes += [_start(share, arguments) for share in shares]
    for early in tuple(received):
        pass_on(early, None)
    while all(process.poll() is None for process in processes):
        time.sleep(_POLL_S)
    ended = [process.returncode for process in processes if process.returncode is not None]
    pass_on(signal.SIGTERM, None)
    codes = [process.wait() for process in processes]
    return next((abs(code) for code in (*ended, *codes) if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
