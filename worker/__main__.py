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


def _run(shares: Sequence[Share], arguments: Sequence[str]) -> int:
    """Run a parent for each pack and pass signals on; when one ends, end the others, return its exit code."""
    # A signal that comes meanwhile waits for the handler, even for process 1 of a container.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    parents = {share.name: _start(share, arguments) for share in shares}
    passed: set[int] = set()

    def pass_on(signum: int, _: object) -> None:
        passed.add(signum)
        for parent in parents.values():
            parent.send_signal(signum)

    for signum in _STOPPING:
        signal.signal(signum, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    first = _wait_for_one(parents)
    # A second signal would end a parent that stops in its grace at once.
    if not passed - {signal.SIGHUP}:
        pass_on(signal.SIGTERM, None)
    others = [abs(parent.wait()) for parent in parents.values()]
    return next((code for code in (first, *others) if code), 0)


def _wait_for_one(parents: Mapping[str, subprocess.Popen[bytes]]) -> int:
    """Wait until a parent ends; print which one, and return its exit code or the signal that killed it."""
    while True:
        for name, parent in parents.items():
            if (code := parent.poll()) is not None:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
                print(f"worker: the parent of {name} {how}: stopping all", file=sys.stderr, flush=True)
                return abs(code)
        time.sleep(_POLL_S)


def _start(share: Share, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *_CELERY, *arguments, f"--hostname={share.name}-{os.getpid()}@%h"]
    # No thread runs yet that a fork could break.
    begin = partial(_begin, share.cores)
    return subprocess.Popen(command, env=_environment(share), preexec_fn=begin)  # noqa: PLW1509, S603


def _begin(cores: Sequence[int]) -> None:
    """Let signals reach the new parent, and keep it on its cores."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
    if cores:
        pin(cores)


def _environment(share: Share) -> Mapping[str, str]:
    names = Settings.variables()
    given = {
        names["pack"]: share.directory,
        names["model_name"]: share.name,
        names["concurrency"]: str(share.children),
        names["cores"]: str(share.count),
    }
    return {name: value for name, value in os.environ.items() if name != names["packs"]} | given


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
