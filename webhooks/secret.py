"""The secrets that sign deliveries."""

from __future__ import annotations

import base64
import secrets

from tasks.store.connection import store_errors
from tasks.store.jobs import JobStore
from tasks.store.keys import WEBHOOK_SECRET

_BYTES = 32


def signing_secrets(store: JobStore) -> list[str]:
    """Return the secrets of the settings, or the one that is generated once and stored in Redis.

    Raises StoreUnavailableError.
    """
    if store.settings.webhook_secret:
        return store.settings.webhook_secret.get_secret_value().split()
    generated = "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    with store_errors():
        store.redis.set(WEBHOOK_SECRET, generated, nx=True)
        return [store.redis.get(WEBHOOK_SECRET).decode()]
