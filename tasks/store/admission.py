"""Who may still come in: the terms that `lua/include/backlog.lua` decides by, and what it answers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pydantic_core import to_json
from redis import RedisError

from tasks.errors import QuotaExceededError, ServiceFullError, StoreFullError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.keys import COUNTERS
from tasks.vocabulary.jobs import QueueClass

# Room is promised that far ahead at most, so that promises cannot fill Redis.
_HORIZON_S = 3600
# The rest is for the results of what was accepted.
_FULL = 0.9
_LOOK_S = 1.0
_STORE_FULL_S = 10


def admission_request(
    settings: Settings, queue_class: QueueClass, owner: str, payloads: Iterable[bytes]
) -> bytes:
    """Write the terms of an owner who asks for room in a class; the payloads tell what is asked for."""
    mark = hashlib.blake2b(owner.encode(), digest_size=12)
    for payload in payloads:
        mark.update(payload)
    bulk = queue_class is QueueClass.BULK
    deadline_s = settings.deadline_bulk_s if bulk else settings.deadline_interactive_s
    target_s = settings.target_wait_bulk_s if bulk else settings.target_wait_interactive_s
    terms = {
        "owner": owner,
        "mark": mark.hexdigest(),
        "target": target_s,
        # What is leased together is finished together: a text may wait for its neighbours.
        "lag": settings.lease_work_s,
        # A queue so short is accepted as long as no rate is known.
        "short": target_s * settings.assumed_items_per_s,
        "horizon": min(_HORIZON_S, deadline_s),
    }
    # Without keys nobody can be told from anybody else.
    return to_json(terms | ({"quota": settings.quota_items} if owner else {}))


def refusal_error(reason: bytes, wait_ms: int, settings: Settings) -> QuotaExceededError | ServiceFullError:
    """Return the error for a refusal: `quota` or `full`."""
    if reason == b"quota":
        return QuotaExceededError(str(settings.quota_items), wait_ms / 1000)
    return ServiceFullError("", wait_ms / 1000)


class Headroom:
    """Whether Redis has memory for more, looked at once a second."""

    def __init__(self, client: Any) -> None:
        self._redis = client
        self._looked = -_LOOK_S
        self._full = False

    def check(self) -> None:
        """Raise StoreFullError when so little is left that writes of results might fail."""
        if time.monotonic() - self._looked >= _LOOK_S:
            with store_errors():
                memory: dict[str, int] = self._redis.info("memory")
            self._full = 0 < memory["maxmemory"] * _FULL < memory["used_memory"]
            self._looked = time.monotonic()
        if self._full:
            # A store that is not only nearly full takes not even this.
            with suppress(RedisError):
                self._redis.hincrby(COUNTERS, "refused:store_full", 1)
            raise StoreFullError("", _STORE_FULL_S)
