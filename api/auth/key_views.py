"""API keys as bodies of responses; `python -m api.auth --json` prints the same."""

from __future__ import annotations

from collections.abc import Mapping

from api.auth.api_keys import ApiKeys
from api.auth.key_record import ApiKey
from api.auth.scopes import Scope
from api.schemas import api_keys as bodies
from api.schemas.times import rfc3339
from tasks.vocabulary.key_limits import KeyLimits


class KeyViews:
    """Turns keys into bodies, with what is known of their use at the moment."""

    def __init__(self, api_keys: ApiKeys, kept: Mapping[str, int], now_ms: int) -> None:
        self._used_ms = api_keys.used_ms()
        self._kept = kept
        self._now_ms = now_ms

    def view(self, key: ApiKey) -> bodies.Key:
        """Return the body of a key."""
        secrets = key.valid_hashes(self._now_ms)
        return {
            "id": key.id,
            "object": "key",
            "name": key.name,
            "description": key.description,
            "scopes": [scope.value for scope in Scope if scope in key.scopes],
            "weight": key.weight,
            "created_at": rfc3339(key.created_ms),
            "last_used_at": rfc3339(self._used_ms.get(key.id)),
            "expires_at": rfc3339(key.expires_ms),
            "disabled": key.disabled,
            "secrets": len(secrets),
            "old_secret_until": rfc3339(key.old_until_ms) if len(secrets) > 1 else None,
            "limits": limits_view(key.limits),
            "kept_bytes": self._kept.get(key.id, 0),
        }

    def with_secret(self, key: ApiKey, token: str) -> bodies.NewSecret:
        """Return the body of a key with its new secret."""
        return {**self.view(key), "secret": token}


def limits_view(limits: KeyLimits) -> bodies.Limits:
    """Return the body of limits."""
    return {
        "rate": limits.rate,
        "burst": limits.burst,
        "max_pending_items": limits.max_pending_items,
        "max_concurrent_jobs": limits.max_concurrent_jobs,
        "models": None if limits.models is None else list(limits.models),
        "classes": None if limits.classes is None else list(limits.classes),
    }
