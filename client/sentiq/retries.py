"""Repeats requests that failed for a reason that passes."""

from __future__ import annotations

import random
import time

from sentiq.effects import Call, Reply, Send, Sleep, Steps
from sentiq.errors import SentiqConnectionError, SentiqError
from sentiq.refusals import refusal_of

_FIRST_PAUSE_S = 0.25
_MAX_PAUSE_S = 20.0
_PASSING = {429, 502, 503, 504}
_PASSING_CODES = {"idempotency_key_in_flight"}


class Patience:
    """How long an operation goes on without progress: `retry_for` seconds."""

    def __init__(self, retry_for: float) -> None:
        """Begin with the first failure."""
        self._retry_for = retry_for
        self.renew()

    def renew(self) -> None:
        """Begin again with the next failure, because there was progress."""
        self._end: float | None = None
        self._failures = 0

    def pause(self, error: SentiqError) -> Sleep:
        """Return the pause before the next attempt; raise the error if the time would not last for it."""
        if self._end is None:
            self._end = time.monotonic() + self._retry_for
        backoff = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2**self._failures)
        self._failures += 1
        # Half of it is random, so that clients which failed together do not come back together.
        seconds = backoff * random.uniform(0.5, 1)  # noqa: S311  no secret
        if error.retry_after is not None:
            seconds += error.retry_after
        if time.monotonic() + seconds > self._end:
            raise error
        return Sleep(seconds)


def passes(error: SentiqError) -> bool:
    """Return whether the same request may succeed later."""
    return (
        isinstance(error, SentiqConnectionError) or error.status in _PASSING or error.code in _PASSING_CODES
    )


def sent(call: Call) -> Steps[Reply]:
    """Send once; return the response, or raise what it refuses with."""
    reply: Reply = yield Send(call)
    if not 200 <= reply.status < 300:  # noqa: PLR2004  success
        raise refusal_of(call, reply)
    return reply


def answered(call: Call, retry_for: float) -> Steps[Reply]:
    """Send a request that may be repeated until it is answered; raise what it is refused with."""
    patience = Patience(retry_for)
    while True:
        try:
            return (yield from sent(call))
        except SentiqError as error:
            if not passes(error):
                raise
            pause = patience.pause(error)
        yield pause
