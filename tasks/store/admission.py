"""Admission control: requests for room, which `lua/include/admission.lua` decides, and errors of refusals."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from redis import RedisError

from tasks.errors import (
    Limit,
    QuotaExceededError,
    RefusedError,
    ServiceFullError,
    StorageQuotaExceededError,
    StoreFullError,
    TooManyJobsError,
)
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.keys import COUNTERS
from tasks.vocabulary.jobs import Queue
from tasks.vocabulary.key_limits import SERVICE_LIMITS, KeyLimits

# Room is reserved this far ahead at most, so that reservations cannot fill Redis.
_MAX_RESERVATION_S = 3600
# Of Redis's memory; the rest is for the results of what was accepted.
_FULL_SHARE = 0.9
# Of Redis's memory, what one owner may fill: the rest is a reserve for all others.
_OWNER_MEMORY_SHARE = 0.5
# A caller is asked to look again after this time at most: it may have deleted jobs meanwhile.
_KEPT_RETRY_S = 3600
_CHECK_S = 1.0
_STORE_FULL_RETRY_S = 10


def admission_request(  # noqa: PLR0913  a request has each of them
    settings: Settings,
    queue: Queue,
    owner: str,
    payloads: Iterable[bytes],
    kept_limit: int | None = None,
    *,
    limits: KeyLimits = SERVICE_LIMITS,
) -> dict[str, Any]:
    """Return an owner's request for room in a queue; queue, owner and payloads make its fingerprint.

    The owner may keep `kept_limit` bytes; `limits` are those of its key. The fields are those of
    `lua/include/admission.lua`.
    """
    queue_class = queue.queue_class
    fingerprint = hashlib.blake2b(f"{queue} {owner}".encode(), digest_size=12)
    for payload in payloads:
        fingerprint.update(payload)
    target_s = settings.target_wait_s(queue_class)
    unmeasured_items = target_s * settings.assumed_items_per_s
    request = {
        "owner": owner,
        "fingerprint": fingerprint.hexdigest(),
        "target_s": target_s,
        # Chunks of one lease are completed together: a text may wait for its neighbours.
        "lag_s": settings.lease_work_s,
        "unmeasured_items": unmeasured_items,
        "unmeasured_cost": unmeasured_items * settings.chunk_chars / settings.chunk_items,
        "max_reservation_s": min(_MAX_RESERVATION_S, settings.deadline_s(queue_class)),
    }
    if not owner:
        # Without keys all callers are one owner, and a quota would be everybody's.
        return request
    if kept_limit:
        request["kept_limit"] = kept_limit
    if limits.max_concurrent_jobs:
        request["max_jobs"] = limits.max_concurrent_jobs
    return request | {"quota": limits.max_pending_items or settings.quota_items}


def refusal_error(
    reason: bytes,
    wait_ms: int,
    settings: Settings,
    kept_limit: int | None = None,
    limits: KeyLimits = SERVICE_LIMITS,
) -> RefusedError:
    """Return the error for a refusal by `lua/include/admission.lua`, which names the limit."""
    if reason == b"kept":
        limit = Limit("kept_bytes", kept_limit or 0, "service")
        return StorageQuotaExceededError(str(kept_limit), min(_KEPT_RETRY_S, wait_ms / 1000), limit)
    if reason == b"quota":
        own = limits.max_pending_items
        limit = Limit("max_pending_items", own or settings.quota_items, "key" if own else "service")
        return QuotaExceededError(str(limit.value), wait_ms / 1000, limit)
    if reason == b"jobs":
        limit = Limit("max_concurrent_jobs", limits.max_concurrent_jobs or 0, "key")
        return TooManyJobsError(str(limit.value), wait_ms / 1000, limit)
    return ServiceFullError("", wait_ms / 1000)


class Headroom:
    """Whether Redis has memory for more, and what one owner may take of it, checked once a second."""

    def __init__(self, client: Any, settings: Settings) -> None:
        self._redis = client
        self._quota_bytes = settings.quota_bytes
        self._limit_bytes = 0
        self._checked_at = -_CHECK_S
        self._full = False

    def check(self) -> None:
        """Raise StoreFullError when so little memory is left that writing results might fail."""
        if time.monotonic() - self._checked_at >= _CHECK_S:
            with store_errors():
                memory: dict[str, int] = self._redis.info("memory")
            self._limit_bytes = memory["maxmemory"]
            self._full = 0 < self._limit_bytes * _FULL_SHARE < memory["used_memory"]
            self._checked_at = time.monotonic()
        if self._full:
            # A store that is wholly full refuses this write too.
            with suppress(RedisError):
                self._redis.hincrby(COUNTERS, "refused:store_full", 1)
            raise StoreFullError("", _STORE_FULL_RETRY_S)

    def kept_limit(self, owner: str) -> int | None:
        """Return the bytes that an owner may keep, as of the last check; None for no limit."""
        if not owner:
            # Without keys all callers are one owner, and the limit would be everybody's.
            return None
        limits = (self._quota_bytes, int(self._limit_bytes * _OWNER_MEMORY_SHARE))
        return min((limit for limit in limits if limit), default=None)
