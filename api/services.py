"""What the handlers of one app share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.keyring import Keyring
from api.queues import Queues
from api.rates import Rates
from api.submission import Submission
from api.waiting import Waiters
from tasks.settings import Settings
from tasks.store.jobs import Ledger

EXTENSION = "sentiq"


@dataclass(frozen=True, slots=True)
class Services:
    """Built once by the app factory."""

    settings: Settings
    ledger: Ledger
    submission: Submission
    waiters: Waiters
    keyring: Keyring
    rates: Rates
    queues: Queues


def services() -> Services:
    """Return those of the app that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
