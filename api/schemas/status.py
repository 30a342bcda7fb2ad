"""Bodies of responses about the service: probes, limits, models, backlog."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api.schemas.jobs import Model
from api.schemas.types import Count, closed
from tasks.vocabulary.jobs import QueueClass


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
