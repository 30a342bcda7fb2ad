"""Bodies of responses about items, as TypedDicts: mypy checks the serializers, so they cost nothing."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, JsonValue, WithJsonSchema
from typing_extensions import TypedDict

from api.schemas.types import Count, LabelId, Probability, closed
from tasks.vocabulary.items import ItemError, ItemStatus
from tasks.vocabulary.labels import MAX_LABELS
from tasks.vocabulary.options import MAX_ASPECT_CHARS, MAX_ASPECTS

Text = Annotated[str, Field(description="The text, if the job keeps texts and could read it.")]
SourceIndex = Annotated[Count, Field(description="Its index in the job that is retried, or compared.")]
Data = Annotated[dict[str, JsonValue], Field(description="The object that you gave with the item.")]
_NOT_SCORED = {"type": "string", "enum": [ItemStatus.FAILED, ItemStatus.CANCELED, ItemStatus.TIMED_OUT]}


class VerdictBody(TypedDict):
    """The model's verdict on a text, or on a part of it.

    `positive_prob` and `negative_prob` are null if the model has no such label, `score` if one of its labels
    has no polarity. `probabilities` are by label, as the job's option of that name asked. `unfamiliar`: most
    of the text was never seen in training; null if the model's pack does not record that.
    """

    label: LabelId
    label_zh: str
    confidence: Probability
    positive_prob: Probability | None
    negative_prob: Probability | None
    probabilities: Annotated[dict[LabelId, Probability], Field(max_length=MAX_LABELS)] | None
    score: Annotated[float, Field(ge=-1, le=1)] | None
    uncertain: bool
    unfamiliar: bool | None
    truncated: bool
    tokens: Count
    text_tokens: Count


@closed
class Sentence(VerdictBody):
    """A sentence, code points `start` to `end` of the text, with its own verdict."""

    start: Count
    end: Count


@closed
class Highlight(TypedDict):
    """A clause and its weight.

    Above zero it pulls towards positive if every label of the model has a polarity, else towards the label.
    """

    start: Count
    end: Count
    weight: float


@closed
class ScoredItem(VerdictBody):
    """An item with its verdict. `id` is the one that you gave it.

    `model` (`id@revision`) gave the verdict; items of one job may name two models while the model is changed.
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
    text: NotRequired[Text]
    source_index: NotRequired[SourceIndex]
    data: NotRequired[Data]


@closed
class AspectVerdict(TypedDict):
    """The model's verdict on an aspect of a text."""

    aspect: Annotated[str, Field(min_length=1, max_length=MAX_ASPECT_CHARS)]
    label: LabelId
    label_zh: str
    confidence: Probability
    probabilities: Annotated[dict[LabelId, Probability], Field(max_length=MAX_LABELS)] | None
    score: Annotated[float, Field(ge=-1, le=1)] | None
    uncertain: bool


@closed
class AspectsItem(TypedDict):
    """An item with a verdict on each aspect that was given, in that order, and none on the whole text.

    `unfamiliar` is as that of a verdict on a text.
    """

    index: Count
    id: str | None
    status: Literal[ItemStatus.SUCCEEDED]
    aspects: Annotated[list[AspectVerdict], Field(min_length=1, max_length=MAX_ASPECTS)]
    unfamiliar: bool | None
    truncated: bool
    tokens: Count
    text_tokens: Count
    chars: Count
    cached: bool
    attempts: Count
    model: str | None
    error: None
    text: NotRequired[Text]
    source_index: NotRequired[SourceIndex]
    data: NotRequired[Data]


@closed
class ItemErrorBody(TypedDict):
    """Why an item has no verdict. `line` is where its row begins, in an upload of rows."""

    code: ItemError
    message: str
    line: NotRequired[Count]


@closed
class FailedItem(TypedDict):
    """An item without a verdict, and why."""

    index: Count
    id: str | None
    status: Annotated[ItemStatus, WithJsonSchema(_NOT_SCORED)]
    chars: Count
    attempts: Count
    error: ItemErrorBody
    text: NotRequired[Text]
    source_index: NotRequired[SourceIndex]
    data: NotRequired[Data]


Item = ScoredItem | AspectsItem | FailedItem


@closed
class Prediction(TypedDict):
    """The sentiment of a text; where there is an `error` the other members are null."""

    text: str
    sentiment: str | None
    emoji: str | None
    confidence: Probability | None
    error: NotRequired[ItemErrorBody]


@closed
class Predictions(TypedDict):
    """Sentiments in the order of the texts."""

    results: list[Prediction]
