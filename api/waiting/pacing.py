"""Keeps long work from holding up other requests: one thread serves all requests of a process."""

from __future__ import annotations

import time
from typing import Any

import gevent

# Longest work without a look at the sockets of other requests. A block or a few lines more may follow. A call
# looks at its own about ten times, most of them for an answer of Redis, and waits for a slice each time.
SLICE_S = 0.002


class LoopClock:
    """Knows when the event loop of this process last looked for other requests.

    All requests of the process share one slice, so that their work between two looks does not add up.
    """

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._watcher: Any = None

    def let_others_run(self) -> None:
        """Let others run if this process has worked for a slice since it looked for them."""
        if self._watcher is None:
            self._watcher = gevent.get_hub().loop.check(ref=False)
            self._watcher.start(self._note)
        # Once: among much work of others the next look may be a slice ago again before this request goes on.
        if time.monotonic() - self._looked_at > SLICE_S:
            # A sleep of 0 s would return before the loop looks at any socket, and one of more takes a
            # millisecond at least: a timer of the loop ends behind its next look.
            hub = gevent.get_hub()
            with hub.loop.timer(0.0) as look:
                hub.wait(look)

    def _note(self) -> None:
        self._looked_at = time.monotonic()


let_others_run = LoopClock().let_others_run
