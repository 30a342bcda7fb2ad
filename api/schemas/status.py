"""What is told of deliveries, of the service, and of what is wrong."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.jobs import Model
from api.schemas.types import Count, Time, closed
from tasks.store.deliveries import DeliveryStatus
from tasks.vocabulary.jobs import QueueClass
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


@closed
class State(TypedDict):
    """A probe's answer."""

    status: Literal["alive", "ready"]


@closed
class ServedModel(Model):
    """A model that live workers serve."""

    labels: list[str]
    max_tokens: Count
    uncertain_below: float | None


@closed
class OptionValues(TypedDict):
    """What an option may be, and what it is if left out."""

    values: list[str | bool]
    default: str | bool


class Info(TypedDict):
    """The models that answer and every limit of the service."""

    service: Literal["sentiq"]
    model: ServedModel | None
    models: list[ServedModel]
    limits: dict[str, float]
    options: dict[str, OptionValues]


@closed
class Queue(TypedDict):
    """What waits in a class; null as long as no drain rate is known."""

    pending_items: Count
    items_per_s: float | None
    wait_s: float | None
    accepting: bool


@closed
class Workers(TypedDict):
    """Workers that reported lately, and their children together."""

    alive: Count
    children: Count


@closed
class Queues(TypedDict):
    """How the service stands."""

    classes: dict[QueueClass, Queue]
    workers: Workers


@closed
class FieldError(TypedDict):
    """A field that is wrong: a JSON pointer into the body, `?name` of the query, or a header's name."""

    pointer: str
    code: str
    detail: str


class Problem(TypedDict):
    """RFC 9457: `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: NotRequired[list[FieldError]]
    retry_after_s: NotRequired[float]
    job_id: NotRequired[str]
