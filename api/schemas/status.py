"""Bodies of responses about the service: probes, limits, models, backlog."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api.schemas.jobs import Model
from api.schemas.types import Count, closed
from tasks.vocabulary.jobs import QueueClass


@closed
class State(TypedDict):
    """The response of a probe."""

    status: Literal["alive", "ready"]


@closed
class ServedModel(Model):
    """A model that live workers serve."""

    name: str
    labels: list[str]
    input: Literal["text", "pair"]
    max_tokens: Count
    uncertain_below: float | None


@closed
class OptionValues(TypedDict):
    """The values of an option, and its default."""

    values: list[str | bool]
    default: str | bool | None


class Info(TypedDict):
    """The models in use, the limits of the service and the options of a job."""

    service: Literal["sentiq"]
    model: ServedModel | None
    models: list[ServedModel]
    limits: dict[str, float]
    options: dict[str, OptionValues]


@closed
class Queue(TypedDict):
    """The backlog of a class; rate and wait are null while no drain rate is known."""

    pending_items: Count
    items_per_s: float | None
    wait_s: float | None
    accepting: bool


@closed
class Workers(TypedDict):
    """Live workers, and the sum of their children."""

    alive: Count
    children: Count


@closed
class Queues(TypedDict):
    """The backlog of each class, and the workers."""

    classes: dict[QueueClass, Queue]
    workers: Workers
