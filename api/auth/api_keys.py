"""API keys, stored in Redis as hashes of their secrets; a key has at most two valid secrets."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

from api.auth.key_record import ApiKey, hash_of
from api.auth.scopes import Scope
from tasks.errors import ApiKeyNotFoundError, StoreUnavailableError
from tasks.store import audit
from tasks.store.audit import AuditEntry, Author, this_user
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import API_KEYS, API_KEYS_USED, API_KEYS_VERSION, WEIGHTS

logger = logging.getLogger(__name__)

MAX_SECRETS = 2
# A revoked key works at most that long.
FRESH_S = 2.0
# An unknown secret may belong to a new key, so the keys are read again, but no more often than that.
_NEW_S = 0.2
# A process notes that often that a key is used: what is shown is less than a minute old.
_NOTED_S = 30.0
_BRAND = "sentiq"
_SECRET_BYTES = 32


class ApiKeys:
    """All keys, cached: a process reads their version every `FRESH_S` seconds, and them if it changed."""

    def __init__(self, store: JobStore, author: Callable[[], Author] = this_user) -> None:
        """`author` returns who changes keys, for the audit log."""
        self._store = store
        self._author = author
        self._keys: dict[str, ApiKey] = {}
        self._noted: dict[str, float] = {}
        self._version: bytes | None = None
        self._checked_at = -FRESH_S
        self._clock_ms = 0.0  # what to add to the monotonic clock to get Redis's
        self._loaded = False

    def find(self, token: str) -> ApiKey | None:
        """Return the key of a bearer token, or None. Once read, keys are known while Redis is away.

        The key may be disabled or expired.
        """
        brand, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        for max_age_s in (FRESH_S, _NEW_S):
            self._refresh(max_age_s)
            key = self._keys.get(key_id)
            if brand == _BRAND and key and key.accepts(secret, self.now_ms()):
                return key
        return None

    def now_ms(self) -> float:
        """Return Redis's clock as of the last look at the keys, without asking again."""
        return self._clock_ms + time.monotonic() * 1000

    def note_use(self, key: ApiKey) -> None:
        """Note that a key is used, so that `used_ms` is less than a minute old."""
        now = time.monotonic()
        if now - self._noted.get(key.id, -_NOTED_S) < _NOTED_S:
            return
        self._noted[key.id] = now
        try:
            with store_errors():
                self._store.redis.hset(API_KEYS_USED, key.id, int(self.now_ms()))
        except StoreUnavailableError:
            self._noted.pop(key.id, None)  # the next request tries again

    def used_ms(self) -> Mapping[str, int]:
        """Return when each key was last used, as far as it was, in ms since the epoch."""
        with store_errors():
            raw: dict[bytes, bytes] = self._store.redis.hgetall(API_KEYS_USED)
        return {key_id.decode(): int(at_ms) for key_id, at_ms in raw.items()}

    def all(self) -> list[ApiKey]:
        """Return every key, the oldest first."""
        with store_errors():
            raw: dict[bytes, bytes] = self._store.redis.hgetall(API_KEYS)
        keys = [ApiKey.decode(key_id.decode(), written) for key_id, written in raw.items()]
        return sorted(keys, key=lambda key: (key.created_ms, key.id))

    def get(self, key_id: str) -> ApiKey:
        """Return a key. Raises ApiKeyNotFoundError."""
        return self._get(self._store.redis, key_id)

    def create(self, name: str, scopes: Collection[Scope], **terms: Any) -> tuple[ApiKey, str]:
        """Create a key; return it and its token, which is not stored. `terms` are further fields of it."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(key_id, name, frozenset(scopes), (hash_of(secret),), self._store.now_ms(), **terms)
        detail = f"{name}: {' '.join(sorted(key.scopes))}"

        def write(pipe: Any) -> None:
            _write_record(pipe, key)

        self._write(write, "create", key_id, detail)
        return key, _token(key_id, secret)

    def change(self, key_id: str, change: Callable[[ApiKey], ApiKey]) -> ApiKey:
        """Change name, scopes, weight, description, expiry, limits or whether a key is disabled."""
        return self._change("change", key_id, change)

    def weigh(self, key_id: str, weight: float) -> ApiKey:
        """Give a key another weight, from `MIN_WEIGHT` to `MAX_WEIGHT`; leases follow it at once."""
        return self._change("weigh", key_id, lambda key: replace(key, weight=weight), f"{weight:g}")

    def rotate(self, key_id: str, overlap_s: float | None = None) -> tuple[ApiKey, str]:
        """Give a key a new secret; the previous one stays valid for `overlap_s`, older ones do not.

        Without `overlap_s` the previous secret is valid until it is retired.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        until_ms = None if overlap_s is None else self._store.now_ms() + int(overlap_s * 1000)

        def rotated(key: ApiKey) -> ApiKey:
            hashes = (*key.hashes, hash_of(secret))[-MAX_SECRETS:]
            return replace(key, hashes=hashes, old_until_ms=until_ms)

        return self._change("rotate", key_id, rotated), _token(key_id, secret)

    def retire(self, key_id: str) -> ApiKey:
        """Remove all secrets of a key but the newest."""
        return self._change(
            "revoke_old", key_id, lambda key: replace(key, hashes=key.hashes[-1:], old_until_ms=None)
        )

    def revoke(self, key_id: str) -> None:
        """Delete a key with all its secrets."""
        name = self.get(key_id).name

        def delete(pipe: Any) -> None:
            for key in (API_KEYS, API_KEYS_USED, WEIGHTS):
                pipe.hdel(key, key_id)

        self._write(delete, "revoke", key_id, name)

    def audit(self) -> Iterator[AuditEntry]:
        """Yield the changes of all keys, the oldest first."""
        return audit.entries(self._store.redis)

    def _change(
        self, action: str, key_id: str, change: Callable[[ApiKey], ApiKey], detail: str = ""
    ) -> ApiKey:
        """Replace the record of a key; repeat it if somebody else changed the keys meanwhile."""
        written: ApiKey | None = None

        def write(pipe: Any) -> ApiKey:
            nonlocal written
            key = self._get(pipe, key_id)
            # It is done, and the answer was lost: a second rotation would end the previous secret at once.
            if key == written:
                return key
            changed = written = change(key)
            pipe.multi()
            _write_record(pipe, changed)
            pipe.incr(API_KEYS_VERSION)
            told = " ".join(_differing(key, changed)) if action == "change" else detail
            told = f"{key.name}: {told}" if told else key.name
            audit.append(pipe, action, key_id, told, author=self._author())
            return changed

        with store_errors():
            changed: ApiKey = self._store.redis.transaction(write, API_KEYS, value_from_callable=True)
        return changed

    def _get(self, client: Any, key_id: str) -> ApiKey:
        with store_errors():
            raw = client.hget(API_KEYS, key_id)
        if raw is None:
            raise ApiKeyNotFoundError(key_id)
        return ApiKey.decode(key_id, raw)

    def _write(self, write: Callable[[Any], Any], action: str, key_id: str, detail: str) -> None:
        with store_errors():
            pipe = self._store.redis.pipeline(transaction=True)
            write(pipe)
            pipe.incr(API_KEYS_VERSION)
            audit.append(pipe, action, key_id, detail, author=self._author())
            pipe.execute()

    def _refresh(self, max_age_s: float) -> None:
        now = time.monotonic()
        if self._loaded and now - self._checked_at < max_age_s:
            return
        self._checked_at = now
        try:
            version = self._read_version()
            if not self._loaded or version != self._version:
                self._keys = {key.id: key for key in self.all()}
                self._version, self._loaded = version, True
        except StoreUnavailableError as error:
            if not self._loaded:
                raise
            logger.warning("API keys cannot be read again; those known stay in use: %s", error)

    def _read_version(self) -> bytes | None:
        """Read the version of the keys, and Redis's clock."""
        with store_errors():
            pipe = self._store.redis.pipeline(transaction=False)
            version, (seconds, micros) = pipe.get(API_KEYS_VERSION).time().execute()
        self._clock_ms = seconds * 1000 + micros / 1000 - time.monotonic() * 1000
        return None if version is None else bytes(version)


def _differing(before: ApiKey, after: ApiKey) -> list[str]:
    """Return the names of the fields in which two records differ."""
    return [
        field.name for field in fields(ApiKey) if getattr(before, field.name) != getattr(after, field.name)
    ]


def _write_record(pipe: Any, key: ApiKey) -> None:
    """Write a key, and its weight where the scripts of the job store read it: they see no records."""
    pipe.hset(API_KEYS, key.id, key.encode())
    if key.weight == 1:
        pipe.hdel(WEIGHTS, key.id)
    else:
        pipe.hset(WEIGHTS, key.id, f"{key.weight:g}")


def _token(key_id: str, secret: str) -> str:
    return f"{_BRAND}_{key_id}_{secret}"
