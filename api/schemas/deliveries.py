"""Bodies of responses about the deliveries of webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, Time, closed
from tasks.store.deliveries import DeliveryStatus
from tasks.vocabulary.webhooks import Event


@closed
class Attempt(TypedDict):
    """One attempt at a delivery; neither `status_code` nor `error` while it is under way."""

    number: Annotated[int, Field(ge=1)]
    at: Time
    status_code: int | None
    error: str | None
    duration_ms: Count | None


@closed
class Delivery(TypedDict):
    """What became of a webhook; `next_attempt_at` is null when none is due."""

    id: str
    object: Literal["delivery"]
    event: Event
    url: str
    status: DeliveryStatus
    attempts: list[Attempt]
    next_attempt_at: Time | None


@closed
class DeliveriesPage(TypedDict):
    """The deliveries of a job: none before it is over, or without a webhook."""

    object: Literal["list"]
    job_id: str
    data: list[Delivery]
