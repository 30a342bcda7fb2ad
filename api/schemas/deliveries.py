"""Bodies of responses about the deliveries of webhooks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.types import Count, Time, closed
from tasks.vocabulary.webhooks import DeliveryStatus, Event


@closed
class Attempt(TypedDict):
    """One attempt at a delivery; `status_code` and `error` are null until it ends."""

    number: Annotated[int, Field(ge=1)]
    at: Time
    status_code: int | None
    error: str | None
    duration_ms: Count | None


@closed
class Delivery(TypedDict):
    """A webhook with its attempts; `next_attempt_at` is null when no further attempt is due."""

    id: str
    object: Literal["delivery"]
    event: Event
    url: str
    status: DeliveryStatus
    attempts: list[Attempt]
    next_attempt_at: Time | None


@closed
class DeliveriesPage(TypedDict):
    """The deliveries of a job: empty before it finishes, and for a job without a webhook."""

    object: Literal["list"]
    job_id: str
    data: list[Delivery]
