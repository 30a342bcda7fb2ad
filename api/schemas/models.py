"""Bodies of responses about the models of the service."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from api.schemas.status import Queue, Workers
from api.schemas.types import Count, LabelId, closed
from tasks.vocabulary.jobs import QueueClass


@closed
class Label(TypedDict):
    """A label of a model. `polarity` is null where the label is neither good, bad nor between."""

    id: LabelId
    label_zh: str
    label_en: str
    polarity: Literal[-1, 0, 1] | None
    emoji: str


@closed
class RegisteredModel(TypedDict):
    """A model that jobs may name, and the pack that its workers served last.

    `measured` has what was measured when the pack was made. A `retiring` model takes no new jobs.
    """

    name: str
    id: str
    revision: str
    labels: list[Label]
    input: Literal["text", "pair"]
    max_tokens: Count
    uncertain_below: float | None
    measured: dict[str, float | bool]
    default: bool
    retiring: bool
    workers: Workers
    classes: dict[QueueClass, Queue]


@closed
class Models(TypedDict):
    """All models, by name."""

    object: Literal["list"]
    data: list[RegisteredModel]
