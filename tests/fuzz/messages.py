"""Messages in the broker's lists, which anybody may have put there."""

from __future__ import annotations

import base64
import json

from tasks.broker.transport import is_wakeup
from tests.fuzz.target import BrokenPromiseError, Target


def wakeup(data: bytes) -> None:
    """Tell a wake-up from all else; what passes for one is a call without arguments that Celery can read."""
    if not is_wakeup(data):
        return
    message = json.loads(data)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    if args or kwargs or not isinstance(message["headers"]["id"], str):
        raise BrokenPromiseError(f"{data!r} passes for a wake-up")


TARGETS = [Target("wakeup", wakeup, 15, [b'"body"', b'"headers"', b'"properties"', b'"__type__"', b"W10="])]
