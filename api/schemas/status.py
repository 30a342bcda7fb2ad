"""Bodies of responses about the service: probes, limits, models, backlog."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api.schemas.jobs import Model
from api.schemas.pauses import KnownPause
from api.schemas.types import Count, ScopeName, Time, closed
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


@closed
class EffectiveLimits(TypedDict):
    """What applies to a key: its own limits, and those of the service where it has none.

    Null: no limit, or all models and classes.
    """

    rate: float
    burst: Count
    max_pending_items: Count
    max_concurrent_jobs: Count | None
    models: list[str] | None
    classes: list[QueueClass] | None


@closed
class OwnKey(TypedDict):
    """The key of the caller."""

    id: str
    name: str
    scopes: list[ScopeName]
    expires_at: Time | None
    limits: EffectiveLimits


class Info(TypedDict):
    """The models in use, the limits of the service, the options of a job, and the key of the caller."""

    service: Literal["sentiq"]
    model: ServedModel | None
    models: list[ServedModel]
    limits: dict[str, float]
    options: dict[str, OptionValues]
    key: OwnKey | None


@closed
class Queue(TypedDict):
    """The backlog of a class; rate and wait are null while no drain rate is known.

    Deferred items wait for the time before which their caller does not want them scored, paused ones until an
    operator resumes them.
    """

    pending_items: Count
    deferred_items: Count
    paused_items: Count
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
    """The backlog of each class, the workers, and the pauses that hold up jobs of the caller."""

    classes: dict[QueueClass, Queue]
    paused: list[KnownPause]
    workers: Workers
