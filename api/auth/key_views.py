"""API keys as bodies of responses; `python -m api.auth --json` prints the same."""

from __future__ import annotations

from collections.abc import Mapping

from api.auth.api_keys import ApiKeys
from api.auth.key_record import ApiKey
from api.auth.rate_limit import rate_of
from api.auth.scopes import Scope
from api.schemas import api_keys as bodies
from api.schemas import status
from api.schemas.times import rfc3339
from api.schemas.types import ScopeName
from tasks.settings import Settings
from tasks.vocabulary.jobs import QueueClass
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
            "scopes": scopes_view(key),
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


def own_key_view(key: ApiKey, settings: Settings) -> status.OwnKey:
    """Return the body of a key for its owner, with the limits that apply to it."""
    limits, (rate, burst) = key.limits, rate_of(key.limits, settings)
    return {
        "id": key.id,
        "name": key.name,
        "scopes": scopes_view(key),
        "expires_at": rfc3339(key.expires_ms),
        "limits": {
            **limits_view(limits),
            "rate": rate,
            "burst": burst,
            "max_pending_items": limits.max_pending_items or settings.quota_items,
        },
    }


def scopes_view(key: ApiKey) -> list[ScopeName]:
    """Return the names of the scopes of a key."""
    return [scope.value for scope in Scope if scope in key.scopes]


def limits_view(limits: KeyLimits) -> bodies.Limits:
    """Return the body of limits."""
    return {
        "rate": limits.rate,
        "burst": limits.burst,
        "max_pending_items": limits.max_pending_items,
        "max_concurrent_jobs": limits.max_concurrent_jobs,
        "models": None if limits.models is None else list(limits.models),
        "classes": None if limits.classes is None else [QueueClass(each) for each in limits.classes],
    }
