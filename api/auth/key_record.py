"""The record of an API key, as Redis holds it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from api.auth.scopes import Scope
from tasks.vocabulary.key_limits import SERVICE_LIMITS, KeyLimits

_SCOPES = frozenset(Scope)
# What a key may weigh: between the extremes a caller still gets a turn every few thousand leases.
MIN_WEIGHT, MAX_WEIGHT = 0.1, 100.0
DAY_MS = 86_400_000
# A key that expires within that time says so in each answer.
WARNING_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; `hashes` are the SHA-256 of its valid secrets, the older first.

    Times are Redis's, in milliseconds since the epoch. The older of two secrets is valid until
    `old_until_ms`, a key until `expires_ms` unless it is `disabled`; None is no end.
    `weight` is its share of a full service beside other keys: 3 gets three times what 1 gets.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    hashes: tuple[str, ...]
    created_ms: int
    weight: float = 1
    description: str = ""
    disabled: bool = False
    expires_ms: int | None = None
    old_until_ms: int | None = None
    limits: KeyLimits = SERVICE_LIMITS

    def encode(self) -> bytes:
        """Write everything but the id, which is the field of the hash, and what is as by default."""
        fields = {"name": self.name, "scopes": sorted(self.scopes), "hashes": self.hashes}
        further = {
            "weight": self.weight if self.weight != 1 else None,
            "description": self.description or None,
            "disabled": self.disabled or None,
            "expires_ms": self.expires_ms,
            "old_until_ms": self.old_until_ms,
            "limits": self.limits.encode() or None,
        }
        given = {name: value for name, value in further.items() if value is not None}
        return to_json(fields | {"created_ms": self.created_ms} | given)

    @classmethod
    def decode(cls, key_id: str, raw: bytes) -> ApiKey:
        """Read what `encode` wrote, also by another version: a scope that is not known allows nothing."""
        read: dict[str, Any] = from_json(raw)
        return cls(
            key_id,
            read["name"],
            frozenset(Scope(scope) for scope in read["scopes"] if scope in _SCOPES),
            tuple(read["hashes"]),
            read["created_ms"],
            read.get("weight", 1),
            read.get("description", ""),
            read.get("disabled", False),
            read.get("expires_ms"),
            read.get("old_until_ms"),
            KeyLimits.decode(read.get("limits", {})),
        )

    def accepts(self, secret: str, now_ms: float) -> bool:
        """Return whether the secret is valid at that time. Compares in constant time."""
        given = hash_of(secret)
        matches = [hmac.compare_digest(given, kept) for kept in self.valid_hashes(now_ms)]
        return any(matches)

    def valid_hashes(self, now_ms: float) -> tuple[str, ...]:
        """Return the hashes of the secrets that are valid at that time, the older first."""
        ended = self.old_until_ms is not None and now_ms >= self.old_until_ms
        return self.hashes[-1:] if ended else self.hashes

    def expired(self, now_ms: float) -> bool:
        """Return whether the key has expired by that time."""
        return self.expires_ms is not None and now_ms >= self.expires_ms

    def expires_soon(self, now_ms: float) -> bool:
        """Return whether the key expires within a week of that time."""
        return self.expires_ms is not None and now_ms >= self.expires_ms - WARNING_MS


def hash_of(secret: str) -> str:
    """Return the hash of a secret, in hexadecimal. It is too long to guess, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()
