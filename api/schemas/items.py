"""What is told of items. mypy holds the views to it, so nothing is checked while requests wait."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from api.schemas.types import Count, Probability, closed
from tasks.vocabulary.items import ItemError, ItemStatus

_NOT_SCORED = {"type": "string", "enum": [ItemStatus.FAILED, ItemStatus.CANCELED, ItemStatus.TIMED_OUT]}


class VerdictBody(TypedDict):
    """What the model says of a text, or of a part of it."""

    label: Literal["positive", "negative"]
    label_zh: Literal["正面", "负面"]
    confidence: Probability
    positive_prob: Probability
    negative_prob: Probability
    score: Annotated[float, Field(ge=-1, le=1)]
    uncertain: bool
    truncated: bool
    tokens: Count
    text_tokens: Count


@closed
class Sentence(VerdictBody):
    """A sentence with its own verdict: code points `start` to `end` of the text."""

    start: Count
    end: Count


@closed
class Highlight(TypedDict):
    """How much a clause pulls the score: above zero towards positive."""

    start: Count
    end: Count
    weight: float


@closed
class ScoredItem(VerdictBody):
    """An item with its verdict. `id` is the caller's.

    `model` (`id@revision`) gave the verdict: while a model is changed, items of one job may name two. It is
    null in results that were written before items named it.
    """

    index: Count
    id: str | None
    status: Literal[ItemStatus.SUCCEEDED]
    sentences: NotRequired[list[Sentence]]
    highlights: NotRequired[list[Highlight]]
    chars: Count
    cached: bool
    attempts: Count
    model: str | None
    error: None


@closed
class ItemErrorBody(TypedDict):
    """Why an item has no verdict."""

    code: ItemError
    message: str


@closed
class FailedItem(TypedDict):
    """An item without a verdict, and why."""

    index: Count
    id: str | None
    status: Annotated[ItemStatus, WithJsonSchema(_NOT_SCORED)]
    chars: Count
    attempts: Count
    error: ItemErrorBody


Item = ScoredItem | FailedItem


@closed
class Prediction(TypedDict):
    """One answer of the synchronous calls; null beside an `error` when there is no verdict."""

    text: str
    sentiment: Literal["Positive", "Negative"] | None
    emoji: str | None
    confidence: Probability | None
    error: NotRequired[ItemErrorBody]


@closed
class Predictions(TypedDict):
    """Answers in the order of the texts."""

    results: list[Prediction]
