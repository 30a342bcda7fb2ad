"""API keys, stored in Redis as hashes of their secrets; a key has at most two valid secrets."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import from_json, to_json

from api.auth.scopes import Scope
from tasks.errors import SentiqError, StoreUnavailableError
from tasks.store import audit
from tasks.store.audit import AuditEntry
from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import API_KEYS, API_KEYS_VERSION, WEIGHTS

logger = logging.getLogger(__name__)

MAX_SECRETS = 2
# A revoked key works at most that long.
FRESH_S = 2.0
# An unknown secret may belong to a new key, so the keys are read again, but no more often than that.
_NEW_S = 0.2
_BRAND = "sentiq"
_SECRET_BYTES = 32  # too long to guess, so a fast hash is enough
# What a key may weigh: between the extremes a caller still gets a turn every few thousand leases.
MIN_WEIGHT, MAX_WEIGHT = 0.1, 100.0


class ApiKeyNotFoundError(SentiqError):
    """No key has that id."""

    code = "key_not_found"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; `hashes` are the SHA-256 of its valid secrets, the older first.

    `weight` is its share of a full service beside other keys: 3 gets three times what 1 gets.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    hashes: tuple[str, ...]
    created_ms: int
    weight: float = 1

    def encode(self) -> bytes:
        """Write everything but the id, which is the field of the hash."""
        scopes = sorted(self.scopes)
        fields = {
            "name": self.name,
            "scopes": scopes,
            "hashes": self.hashes,
            "created_ms": self.created_ms,
            "weight": self.weight,
        }
        return to_json(fields)

    @classmethod
    def decode(cls, key_id: str, raw: bytes) -> ApiKey:
        """Read what `encode` wrote."""
        read: dict[str, Any] = from_json(raw)
        scopes = frozenset(map(Scope, read["scopes"]))
        return cls(
            key_id,
            read["name"],
            scopes,
            tuple(read["hashes"]),
            read["created_ms"],
            read.get("weight", 1),  # keys from before there were weights have none
        )

    def accepts(self, secret: str) -> bool:
        """Return whether the secret is valid. Compares in constant time."""
        given = _hash(secret)
        matches = [hmac.compare_digest(given, kept) for kept in self.hashes]
        return any(matches)


class ApiKeys:
    """All keys, cached: a process reads their version every `FRESH_S` seconds, and them if it changed."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._keys: dict[str, ApiKey] = {}
        self._version: bytes | None = None
        self._checked_at = -FRESH_S
        self._loaded = False

    def find(self, token: str) -> ApiKey | None:
        """Return the key of a bearer token, or None. Once read, keys are known while Redis is away."""
        brand, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        for max_age_s in (FRESH_S, _NEW_S):
            self._refresh(max_age_s)
            key = self._keys.get(key_id)
            if brand == _BRAND and key and key.accepts(secret):
                return key
        return None

    def all(self) -> list[ApiKey]:
        """Return every key, the oldest first."""
        with store_errors():
            raw: dict[bytes, bytes] = self._store.redis.hgetall(API_KEYS)
        keys = [ApiKey.decode(key_id.decode(), written) for key_id, written in raw.items()]
        return sorted(keys, key=lambda key: key.created_ms)

    def create(self, name: str, scopes: Collection[Scope], weight: float = 1) -> tuple[ApiKey, str]:
        """Create a key; return it and its token, which is not stored."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(_SECRET_BYTES)
        key = ApiKey(key_id, name, frozenset(scopes), (_hash(secret),), self._store.now_ms(), weight)
        detail = f"{name}: {' '.join(sorted(key.scopes))}"

        def write(pipe: Any) -> None:
            pipe.hset(API_KEYS, key_id, key.encode())
            _write_weight(pipe, key)

        self._write(write, "create", key_id, detail)
        return key, _token(key_id, secret)

    def rotate(self, key_id: str) -> tuple[ApiKey, str]:
        """Give a key a new secret; the previous one stays valid, older ones do not."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        key = self._change(
            "rotate", key_id, lambda key: replace(key, hashes=(*key.hashes, _hash(secret))[-MAX_SECRETS:])
        )
        return key, _token(key_id, secret)

    def retire(self, key_id: str) -> ApiKey:
        """Remove all secrets of a key but the newest."""
        return self._change("revoke_old", key_id, lambda key: replace(key, hashes=key.hashes[-1:]))

    def weigh(self, key_id: str, weight: float) -> ApiKey:
        """Give a key another weight, from `MIN_WEIGHT` to `MAX_WEIGHT`; leases follow it at once."""
        detail = f"{weight:g}"
        return self._change("weigh", key_id, lambda key: replace(key, weight=weight), detail)

    def revoke(self, key_id: str) -> None:
        """Delete a key with all its secrets."""
        name = self._get(self._store.redis, key_id).name

        def delete(pipe: Any) -> None:
            pipe.hdel(API_KEYS, key_id)
            pipe.hdel(WEIGHTS, key_id)

        self._write(delete, "revoke", key_id, name)

    def audit(self) -> Iterator[AuditEntry]:
        """Yield the changes of all keys, the oldest first."""
        return audit.entries(self._store.redis)

    def _change(
        self, action: str, key_id: str, change: Callable[[ApiKey], ApiKey], detail: str = ""
    ) -> ApiKey:
        """Replace the record of a key; repeat it if somebody else changed the keys meanwhile."""

        def write(pipe: Any) -> ApiKey:
            key = self._get(pipe, key_id)
            changed = change(key)
            pipe.multi()
            pipe.hset(API_KEYS, key_id, changed.encode())
            _write_weight(pipe, changed)
            pipe.incr(API_KEYS_VERSION)
            audit.append(pipe, action, key_id, f"{key.name}: {detail}" if detail else key.name)
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
            audit.append(pipe, action, key_id, detail)
            pipe.execute()

    def _refresh(self, max_age_s: float) -> None:
        now = time.monotonic()
        if self._loaded and now - self._checked_at < max_age_s:
            return
        self._checked_at = now
        try:
            with store_errors():
                version = self._store.redis.get(API_KEYS_VERSION)
            if not self._loaded or version != self._version:
                self._keys = {key.id: key for key in self.all()}
                self._version, self._loaded = version, True
        except StoreUnavailableError as error:
            if not self._loaded:
                raise
            logger.warning("API keys cannot be read again; those known stay in use: %s", error)


def _write_weight(pipe: Any, key: ApiKey) -> None:
    """Write the weight where the scripts of the job store read it, which never see a key's record."""
    if key.weight == 1:
        pipe.hdel(WEIGHTS, key.id)
    else:
        pipe.hset(WEIGHTS, key.id, f"{key.weight:g}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(key_id: str, secret: str) -> str:
    return f"{_BRAND}_{key_id}_{secret}"
