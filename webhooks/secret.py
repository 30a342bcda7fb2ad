"""The secrets that sign deliveries: each API key has its own, derived from those of the service.

Whoever knows the secret of one key can forge no delivery to the receivers of another.
"""

from __future__ import annotations

import base64
import hmac
import secrets

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import WEBHOOK_SECRET

_BYTES = 32
_BRAND = "whsec_"
_CONTEXT = b"sentiq webhooks of key "


def signing_secrets(store: JobStore, owner: str = "") -> list[str]:
    """Return the secrets of a key, by its id; without an id, those of the service.

    During a rotation there are two. Raises StoreUnavailableError.
    """
    service = _service_secrets(store)
    return [_derived(secret, owner) for secret in service] if owner else service


def _service_secrets(store: JobStore) -> list[str]:
    """Return the secrets of the settings, or the one that is generated once and stored in Redis."""
    if store.settings.webhook_secret:
        return store.settings.webhook_secret.get_secret_value().split()
    generated = _encoded(secrets.token_bytes(_BYTES))
    with store_errors():
        store.redis.set(WEBHOOK_SECRET, generated, nx=True)
        return [store.redis.get(WEBHOOK_SECRET).decode()]


def _derived(secret: str, owner: str) -> str:
    """Return the HMAC-SHA256 of the key's id, as a secret."""
    key = base64.b64decode(secret.removeprefix(_BRAND))
    return _encoded(hmac.digest(key, _CONTEXT + owner.encode(), "sha256"))


def _encoded(key: bytes) -> str:
    return _BRAND + base64.b64encode(key).decode()
