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
_DATA_LOST_S = 86_400


class IdSecret:
    """The secret of the settings; without one, the secret in Redis, which the first process generates.

    A process whose secret Redis has lost puts it back. If another process was faster, all use its secret.
    """

    def __init__(self, client: Any, settings: Settings) -> None:
        self._redis = client
        given = settings.id_secret
        self._shared = given is None
        self._secret = given.get_secret_value().encode() if given else b""
        self._read_at = -_FRESH_S

    @property
    def fingerprint(self) -> str | None:
        """Return the SHA-1 of the secret as last read, by which scripts compare it; None if not in Redis."""
        return hashlib.sha1(self._secret, usedforsecurity=False).hexdigest() if self._shared else None

    def ids(self, max_age_s: float = _FRESH_S) -> JobIds:
        """Return the issuer of ids, with a secret that was read at most that long ago.

        While Redis is away, a secret that was read before stays in use. Raises StoreUnavailableError.
        """
        now = time.monotonic()
        if self._shared and (not self._secret or now - self._read_at >= max_age_s):
            self._read_at = now  # before the read: other requests go on with what is known
            try:
                self._read()
            except StoreUnavailableError:
                if not self._secret:
                    raise
        return JobIds(self._secret)

    def _read(self) -> None:
        known = self._secret  # another greenlet may read meanwhile
        with store_errors():
            kept = self._redis.get(ID_SECRET)
            if kept is None:
                self._redis.set(ID_SECRET, known or secrets.token_bytes(_BYTES), nx=True)
            current = kept or self._redis.get(ID_SECRET) or b""
            self._secret = current
            if known and (kept is None or current != known):
                logger.error("Redis has lost its data: jobs that it held are gone (docs/runbook.md)")
                self._redis.set(DATA_LOST, 1, ex=_DATA_LOST_S)


def data_lost(client: Any) -> bool:
    """Return whether a process noticed in the last day that Redis had lost its data."""
    with store_errors():
        return bool(client.exists(DATA_LOST))
