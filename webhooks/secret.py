"""What signs deliveries."""

from __future__ import annotations

import base64
import secrets

from tasks.store.connection import ledger_errors
from tasks.store.jobs import Ledger
from tasks.store.keys import PREFIX

_BYTES = 32


def signing_secrets(ledger: Ledger) -> list[str]:
    """Return what signs deliveries: those of the settings, or one made once and kept beside the jobs."""
    if ledger.settings.webhook_secret:
        return ledger.settings.webhook_secret.get_secret_value().split()
    made = "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    with ledger_errors():
        ledger.redis.set(PREFIX + "webhook_secret", made, nx=True)
        return [ledger.redis.get(PREFIX + "webhook_secret").decode()]
