"""The secret that signs job ids: one for all processes, also after Redis lost its data."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from typing import Any

from tasks.errors import StoreUnavailableError
from tasks.settings import Settings
from tasks.store.connection import store_errors
from tasks.store.ids import JobIds
from tasks.store.keys import DATA_LOST, ID_SECRET

logger = logging.getLogger(__name__)

# A secret is read again when it was read longer ago than that; sooner when it does not explain an id.
_FRESH_S = 2.0
NEW_S = 0.2
_BYTES = 32
_KNOWN = 9  # the one that signs, and those before it whose ids are genuine
_DATA_LOST_S = 86_400


class IdSecret:
    """The secret of the settings; without one, those in Redis: the first process there generates one.

    The first one signs. A process whose secrets Redis has lost puts them back. If another process has
    generated one by then, it appends its own, so that every process recognises the ids of lost jobs.
    """

    def __init__(self, client: Any, settings: Settings) -> None:
        self._redis = client
        given = settings.id_secret
        self._shared = given is None
        self._value = given.get_secret_value().encode() if given else b""
        self._read_at = -_FRESH_S

    @property
    def fingerprint(self) -> str | None:
        """Return the SHA-1 of the secrets as last read, for scripts to compare; None if not in Redis."""
        return hashlib.sha1(self._value, usedforsecurity=False).hexdigest() if self._shared else None

    def ids(self, max_age_s: float = _FRESH_S) -> JobIds:
        """Return the issuer of ids, with secrets that were read at most that long ago.

        While Redis is away, those that were read before stay in use. Raises StoreUnavailableError.
        """
        now = time.monotonic()
        if self._shared and (not self._value or now - self._read_at >= max_age_s):
            self._read_at = now  # before the read: other requests go on with what is known
            try:
                self._read()
            except StoreUnavailableError:
                if not self._value:
                    raise
        if not self._shared:
            return JobIds(self._value)
        first, *former = _split(self._value)[:_KNOWN] or [b""]
        return JobIds(first, former)

    def _read(self) -> None:
        known = _split(self._value)[:_KNOWN]  # another greenlet may read meanwhile
        with store_errors():
            kept = self._redis.get(ID_SECRET)
            if kept is None:
                first = b"".join(known) or secrets.token_bytes(_BYTES)
                self._redis.set(ID_SECRET, first, nx=True)
            current = kept or self._redis.get(ID_SECRET) or b""
            if lacking := [secret for secret in known if secret not in _split(current)]:
                self._redis.append(ID_SECRET, b"".join(lacking))
                current = self._redis.get(ID_SECRET) or b""
            self._value = current
            if known and (kept is None or lacking):
                logger.error("Redis has lost its data: jobs that it held are gone (docs/runbook.md)")
                self._redis.set(DATA_LOST, 1, ex=_DATA_LOST_S)


def _split(value: bytes) -> list[bytes]:
    """Return the distinct secrets of the value in Redis, in their order."""
    return list(dict.fromkeys(value[start : start + _BYTES] for start in range(0, len(value), _BYTES)))


def data_lost(client: Any) -> bool:
    """Return whether a process noticed in the last day that Redis had lost its data."""
    with store_errors():
        return bool(client.exists(DATA_LOST))
