"""Bodies of requests."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from api.schemas.types import AwareTime
from tasks.settings import MAX_DEADLINE_S, MAX_DEFERRAL_S, MAX_TTL_S, MIN_TTL_S
from tasks.vocabulary.attachments import MAX_DATA_BYTES
from tasks.vocabulary.items import is_readable
from tasks.vocabulary.jobs import DEFAULT_COMPARE_SHARE, QueueClass, Terms
from tasks.vocabulary.model_names import MAX_NAME_CHARS, NAME_PATTERN
from tasks.vocabulary.options import MAX_ASPECT_CHARS, MAX_ASPECTS, PLAIN, OnLongText, Options, Probabilities
from tasks.vocabulary.webhooks import Event

MAX_METADATA_PAIRS = 16
MAX_LOOKUP_IDS = 500
MAX_ID_CHARS = 256

CallerId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARS)]
MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=MAX_METADATA_PAIRS)]


# The longest name of a field of `data`, in characters.
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


ModelName = Annotated[str, StringConstraints(max_length=MAX_NAME_CHARS, pattern=NAME_PATTERN)]


class _Body(BaseModel):
    """Base of all request bodies: unknown fields are rejected, so a typo is never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


# JSON knows no integers: 60.0 is 60.
WHOLE = BeforeValidator(lambda n: int(n) if isinstance(n, float) and n.is_integer() else n)
DeadlineS = Annotated[int, Field(ge=1, le=MAX_DEADLINE_S), WHOLE]
ResultTtlS = Annotated[int, Field(ge=MIN_TTL_S, le=MAX_TTL_S), WHOLE]
Sentences = Annotated[bool, Field(description="Add a verdict on each sentence.")]
KeepTexts = Annotated[bool, Field(description="Keep the texts as long as the results, which then hold them.")]
CompareShare = Annotated[float, Field(gt=0, le=1)]
Explain = Annotated[bool, Field(description="Add the weight of each clause in the verdict.")]
# A text that is rejected where it is not like this. Names of settings stand for their values.
_GOOD_TEXT = {"minLength": 1, "maxLength": "max_text_chars", "pattern": r"[^\s\u001c-\u001f\u0085]"}
GoodText = Annotated[str, Field(json_schema_extra=_GOOD_TEXT)]
_FEW = Field(min_length=1, fail_fast=True, json_schema_extra={"maxItems": "max_items"})
_EITHER: JsonDict = {
    "oneOf": [
        {"required": ["text"], "properties": {"text": {"type": "string"}, "items": {"type": "null"}}},
        {"required": ["items"], "properties": {"items": {"type": "array"}, "text": {"type": "null"}}},
    ]
}


def _taken(data: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse an object with members: `api.intake.item_data` took out those of a good one."""
    if data:
        message = f"Input should be a JSON object of at most {MAX_DATA_BYTES} bytes"
        raise ValueError(message)
    return data


# An object of that many bytes has fewer members and shorter names.
_DATA_SCHEMA: JsonDict = {
    "type": "object",
    "maxProperties": MAX_DATA_BYTES // 6,
    "propertyNames": {"maxLength": MAX_DATA_BYTES},
    "description": f"A JSON object of your own, of at most {MAX_DATA_BYTES} bytes.",
}
Data = Annotated[dict[str, JsonValue], AfterValidator(_taken), WithJsonSchema(_DATA_SCHEMA)]


def _different(aspects: list[str]) -> list[str]:
    if len(set(aspects)) < len(aspects):
        message = "each aspect may be given once"
        raise ValueError(message)
    if not all(map(is_readable, aspects)):
        message = "an aspect has no character that can be read"
        raise ValueError(message)
    return aspects


Aspect = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ASPECT_CHARS)]
Aspects = Annotated[
    list[Aspect],
    Field(min_length=1, max_length=MAX_ASPECTS, fail_fast=True, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_different),
]


class ItemIn(_Body):
    """A text with an id of your own, which need not be unique, and an object that comes back with it.

    `aspects` replace those of the job.
    """

    # A longer text than accepted fails alone, so only the size of the body bounds it here.
    text: Annotated[str, Field(json_schema_extra={"maxLength": "max_body_bytes"})]
    id: CallerId | None = None
    data: Data | None = None
    aspects: Aspects | None = None


def _unique(events: list[Event]) -> list[Event]:
    if len(set(events)) < len(events):
        message = "each event may be given once"
        raise ValueError(message)
    return events


class WebhookIn(_Body):
    """Where to send a webhook when the job finishes, and for which events."""

    url: Annotated[HttpUrl, Field(json_schema_extra={"format": "public-http-url"})]
    events: Annotated[
        list[Event],
        Field(
            min_length=1,
            max_length=len(Event),
            fail_fast=True,
            json_schema_extra={"uniqueItems": True},
        ),
        AfterValidator(_unique),
    ] = list(Event)


class TermsIn(_Body):
    """The terms of a job: model, options, priority, times, metadata, webhook."""

    model: ModelName | None = Field(
        None,
        description="Name of the model that scores the texts, one of `GET /v1/models`. If left out, the "
        "default of the service; where there is none and there are several models, it is required.",
    )
    on_long_text: OnLongText = Field(
        PLAIN.on_long_text, description="What to do with a text of more tokens than the model reads at once."
    )
    sentences: Sentences = PLAIN.sentences
    explain: Explain = PLAIN.explain
    probabilities: Probabilities | None = Field(
        None, description="The probabilities of a verdict; left out, all up to 8 labels, else the top 3."
    )
    aspects: Aspects | None = Field(
        None,
        description="Give a verdict on each of these aspects of a text, in place of one on the whole text. "
        "For models whose input is `pair`; not together with `sentences` or `explain`.",
    )
    priority: QueueClass | None = Field(
        None, description="The queue; small jobs are `interactive` and large ones `bulk` if left out."
    )
    deadline_s: DeadlineS | None = Field(
        None, description="Seconds after which items without a verdict fail as `deadline_exceeded`."
    )
    not_before: AwareTime | None = Field(
        None,
        description="Nothing is scored before this time, at most 7 days ahead, and the deadline counts from "
        "it; the job is bulk. A time that has passed changes nothing.",
    )
    result_ttl_s: ResultTtlS | None = Field(
        None, description="Seconds for which results stay readable after the job finishes."
    )
    metadata: Metadata = Field(default_factory=dict)
    webhook: WebhookIn | None = None
    keep_texts: KeepTexts = False
    summarize_by: FieldName | None = Field(
        None, description="A field of `data`: the summary counts items by its values too."
    )
    compare_with: ModelName | None = Field(
        None,
        description="Name of a second model, which scores a sample of the items in a bulk job of its own: "
        "see `GET /v1/jobs/{id}/comparison`. Not with aspects.",
    )
    compare_share: CompareShare = Field(
        DEFAULT_COMPARE_SHARE, description="The share of the items in that sample, which has 10,000 at most."
    )

    @field_validator("not_before")
    @classmethod
    def _near(cls, time_: datetime | None, info: ValidationInfo) -> datetime | None:
        # One that has passed is kept too: a repeated request must be equal to the first.
        if time_ is None or time_.timestamp() <= time.time():
            return time_
        if time_.timestamp() > time.time() + MAX_DEFERRAL_S:
            raise ValueError("Input should be at most 7 days ahead")
        if info.data.get("priority") is QueueClass.INTERACTIVE:
            raise ValueError("Input should be left out of an interactive job")
        return time_

    def terms(self, owner: str, request_id: str) -> Terms:
        """Return the terms of a job of this owner."""
        waits = self.not_before is not None and self.not_before.timestamp() > time.time()
        return Terms(
            options=Options(
                self.on_long_text,
                self.sentences,
                self.explain,
                self.probabilities,
                tuple(self.aspects or ()),
            ),
            queue_class=self.priority or (QueueClass.BULK if waits else None),
            not_before_ms=int(self.not_before.timestamp() * 1000) if self.not_before and waits else None,
            deadline_s=self.deadline_s,
            result_ttl_s=self.result_ttl_s,
            metadata=self.metadata,
            owner=owner,
            request_id=request_id,
            summarize_by=self.summarize_by or "",
            model=self.model or "",
            keep_texts=self.keep_texts,
            compare_with=self.compare_with or "",
            compare_share=self.compare_share,
        )


class JobIn(TermsIn):
    """Body of POST /v1/jobs: either one text or several items, and the terms."""

    model_config = ConfigDict(json_schema_extra=_EITHER)

    text: GoodText | None = None
    items: Annotated[list[ItemIn], _FEW] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.text is None) == (self.items is None):
            message = "give either text or items"
            raise ValueError(message)
        return self


class LookupIn(_Body):
    """Body of POST /v1/jobs/lookup."""

    ids: list[Annotated[str, StringConstraints(max_length=MAX_ID_CHARS)]] = Field(
        min_length=1, max_length=MAX_LOOKUP_IDS, fail_fast=True
    )


class PredictIn(_Body):
    """Body of POST /predict."""

    text: GoodText


class PredictBatchIn(_Body):
    """Body of POST /predict_batch."""

    texts: Annotated[list[GoodText], _FEW]
