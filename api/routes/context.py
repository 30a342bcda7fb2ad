"""The objects that the handlers of an app share. Only routes and the app factory import this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.auth.api_keys import ApiKeys
from api.auth.guard import Guard
from api.intake.submission import Submission
from api.waiting.backlog_cache import BacklogCache
from api.waiting.hub import WaitHub
from api.waiting.shared_reading import SharedReading
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.models import Models

EXTENSION = "sentiq"


@dataclass(frozen=True, slots=True)
class Services:
    """Built once by the app factory."""

    settings: Settings
    store: JobStore
    submission: Submission
    models: Models
    wait_hub: WaitHub
    backlog_cache: BacklogCache
    readiness: SharedReading[None]
    metrics: SharedReading[bytes]
    guard: Guard
    api_keys: ApiKeys


def services() -> Services:
    """Return the services of the app that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
