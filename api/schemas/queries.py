"""Query parameters: a model checks those of a call, and the OpenAPI document is made from it."""

from __future__ import annotations

import csv
import re
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
)

from api.schemas.request_bodies import (
    MAX_ID_CHARS,
    Explain,
    FieldName,
    KeepTexts,
    Metadata,
    ModelName,
    Sentences,
    TermsIn,
)
from api.schemas.types import AwareTime
from tasks.vocabulary.items import ItemError, ItemStatus
from tasks.vocabulary.jobs import JobStatus, QueueClass
from tasks.vocabulary.options import MAX_ASPECTS, PLAIN
from tasks.vocabulary.webhooks import DeliveryStatus, Event

MAX_PAGE_ITEMS = 1000
MAX_COLUMNS_CHARS = 4096
_MAX_PAGE_JOBS = 100
_MAX_STREAM_ITEMS = 1_000_000
_MAX_PAGE_ENTRIES = 500
MAX_COLUMN_CHARS = 1024


def _flag(raw: str) -> bool:
    if raw not in ("true", "false"):
        raise ValueError("Input should be true or false")
    return raw == "true"


def _digits(raw: str) -> str:
    if not (raw.isascii() and raw.isdecimal()):
        raise ValueError("Input should be a whole number")
    return raw


def _row(columns: str) -> str:
    try:
        rows = list(csv.reader([columns], strict=True))
    except csv.Error as error:
        raise ValueError(f"Input should be names as one row of CSV: {error}") from None
    if "\n" in columns or "\r" in columns or len(rows) != 1:
        raise ValueError("Input should be names as one row of CSV")
    if len(set(rows[0])) < len(rows[0]):
        raise ValueError("Input should name a column once")
    return columns


_FROM_WORD = BeforeValidator(_flag)
_FLAG_SCHEMA = WithJsonSchema({"enum": ["true", "false"], "type": "string"})
Flag = Annotated[bool, _FROM_WORD, _FLAG_SCHEMA]
_FROM_DIGITS = BeforeValidator(_digits)


def _day(raw: object) -> date:
    if not isinstance(raw, str) or not _DAY.fullmatch(raw):
        raise ValueError("Input should be a day like 2026-01-31")
    try:
        return date.fromisoformat(raw)
    except ValueError:
        raise ValueError("Input should be a day of the calendar, like 2026-01-31") from None


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Day = Annotated[
    date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date", "maxLength": 10})
]
# The id of a key, or empty for callers without keys.
Owner = Annotated[str, Field(max_length=MAX_ID_CHARS, pattern=r"^[0-9a-z]*$")]


DeliveryCursor = Annotated[str, Field(max_length=54, pattern=r"^[0-9]{1,15}-job_[0-9A-Z]{34}$")]


class Query(BaseModel):
    """Base of all queries: unknown parameters are rejected, so a typo is never ignored.

    A field in `nested` is given by its members, as `field.name=value`. Only those in `lists` may be repeated.
    """

    model_config = ConfigDict(extra="forbid")
    nested: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[tuple[str, ...]] = ()


class NoQuery(Query):
    """Parameters of a call that has none."""


class JobQuery(Query):
    """Parameters of GET /v1/jobs/{id}."""

    include: Literal["results"] | None = Field(
        None, description="Add up to 100 results, and the cursor of the rest."
    )


class JobsQuery(Query):
    """Parameters of GET /v1/jobs."""

    nested: ClassVar[tuple[str, ...]] = ("metadata",)

    status: JobStatus | None = Field(
        None, description="Only jobs with this status. `metadata.name=value` selects by metadata."
    )
    created_after: AwareTime | None = Field(None, description="Only jobs accepted after this time.")
    created_before: AwareTime | None = Field(None, description="Only jobs accepted before this time.")
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE_JOBS), _FROM_DIGITS] = Field(
        20, description="Most jobs in a page; 20 if left out."
    )
    cursor: Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = Field(
        None, description="`next_cursor` of the previous page."
    )
    metadata: Metadata = Field(default_factory=dict)


class ResultsQuery(Query):
    """Parameters of GET /v1/jobs/{id}/results for a page."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ITEMS), _FROM_DIGITS] | None = Field(
        None, description="Most items in the response; left out, a page has 1,000 and a stream all."
    )
    cursor: Annotated[str, Field(max_length=19, pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")] = Field(
        "0.0", description="`next_cursor` of the previous page of this job."
    )
    status: ItemStatus | None = Field(None, description="Only items with this status.")
    follow: Flag = Field(default=False, description="Stream items as they finish, until the job is finished.")
    bom: Flag = Field(default=False, description="Begin CSV with a byte order mark, which Excel needs.")
    safe: Flag = Field(
        default=False,
        description="Change cells of CSV that a spreadsheet would run as a formula, and control characters.",
    )
    columns: (
        Annotated[str, Field(min_length=1, max_length=MAX_COLUMNS_CHARS), AfterValidator(_row)] | None
    ) = Field(
        None,
        description="Columns of CSV and their order, as a row of CSV: names of the header, `data.FIELD`, "
        "`prob.LABEL`, `aspect.ASPECT`.",
    )

    @property
    def position(self) -> tuple[int, int]:
        """The start of a chunk, and the number of its items to skip."""
        chunk, skip = self.cursor.split(".")
        return int(chunk), int(skip)


class ResultsStreamQuery(ResultsQuery):
    """Parameters of the same call for a stream, which may be as long as an upload."""

    limit: Annotated[int, Field(ge=1, le=_MAX_STREAM_ITEMS), _FROM_DIGITS] | None = None


class UsageQuery(Query):
    """Parameters of GET /v1/usage."""

    first: Day | None = Field(
        None, alias="from", description="The first day, UTC; 29 days before the last one if left out."
    )
    to: Day | None = Field(None, description="The last day, UTC; today if left out.")
    by: Literal["day", "model"] | None = Field(
        None, description="Rows by day or by model; by both if left out."
    )


class AllUsageQuery(UsageQuery):
    """Parameters of GET /v1/admin/usage."""

    owner: Owner | None = Field(None, description="Only this key; empty for callers without keys.")


class AuditQuery(Query):
    """Parameters of GET /v1/admin/audit."""

    action: Annotated[str, Field(max_length=32, pattern=r"^[a-z_]+$")] | None = Field(
        None, description="Only this action, such as `create_job`."
    )
    by: Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = Field(
        None, description="Only what this key did, or this user and host; empty for callers without keys."
    )
    key: Owner | None = Field(None, description="Only what was done to this key.")
    job: Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = Field(
        None, description="Only what was done to this job."
    )
    outcome: Annotated[str, Field(max_length=64, pattern=r"^[a-z_]+$")] | None = Field(
        None, description="Only what ended so: `done`, or the code of a problem."
    )
    after: AwareTime | None = Field(None, description="Only what was done after this time.")
    before: AwareTime | None = Field(None, description="Only what was done before this time.")
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE_ENTRIES), _FROM_DIGITS] = Field(
        50, description="Most entries in a page; 50 if left out."
    )
    cursor: Annotated[str, Field(max_length=28, pattern=r"^[0-9]{1,15}-[0-9]{1,10}(\.[12])?$")] | None = (
        Field(None, description="`next_cursor` of the previous page.")
    )


class FailuresQuery(Query):
    """Parameters of GET /v1/admin/failures."""

    owner: Owner | None = Field(None, description="Only jobs of this key; empty for callers without keys.")
    model: ModelName | None = Field(None, description="Only jobs for this model.")
    code: ItemError | None = Field(None, description="Only jobs with items that have this error.")
    created_after: AwareTime | None = Field(None, description="Only jobs accepted after this time.")
    created_before: AwareTime | None = Field(None, description="Only jobs accepted before this time.")
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE_JOBS), _FROM_DIGITS] = Field(
        20, description="Most jobs in a page; 20 if left out."
    )
    cursor: Annotated[str, Field(max_length=38, pattern=r"^job_[0-9A-Z]{34}$")] | None = Field(
        None, description="`next_cursor` of the previous page."
    )


class OperatorJobsQuery(Query):
    """Parameters of GET /v1/admin/jobs."""

    owner: Owner | None = Field(None, description="Only jobs of this key; empty for callers without keys.")
    status: JobStatus | None = Field(None, description="Only jobs with this status.")
    model: ModelName | None = Field(None, description="Only jobs for this model.")
    priority: QueueClass | None = Field(None, description="Only jobs of this class.")
    created_after: AwareTime | None = Field(None, description="Only jobs accepted after this time.")
    created_before: AwareTime | None = Field(None, description="Only jobs accepted before this time.")
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE_JOBS), _FROM_DIGITS] = Field(
        20, description="Most jobs in a page; 20 if left out."
    )
    cursor: Annotated[str, Field(max_length=38, pattern=r"^job_[0-9A-Z]{34}$")] | None = Field(
        None, description="`next_cursor` of the previous page."
    )


class AllDeliveriesQuery(Query):
    """Parameters of GET /v1/admin/deliveries."""

    owner: Owner | None = Field(None, description="Only of this key; empty for callers without keys.")
    status: DeliveryStatus | None = Field(None, description="Only deliveries with this status.")
    finished_after: AwareTime | None = Field(None, description="Only of jobs that finished after this time.")
    finished_before: AwareTime | None = Field(None, description="Only of jobs that finished before it.")
    limit: Annotated[int, Field(ge=1, le=_MAX_PAGE_JOBS), _FROM_DIGITS] = Field(
        20, description="Most deliveries in a page; 20 if left out."
    )
    cursor: DeliveryCursor | None = Field(None, description="`next_cursor` of the previous page.")


class SummaryQuery(Query):
    """Parameters of GET /v1/jobs/{id}/summary."""

    by: FieldName | None = Field(
        None, description="The `summarize_by` of the job: count items by the values of this field too."
    )


class SubmitQuery(Query):
    """Parameters of POST /v1/jobs with a JSON body."""

    strict: Flag = Field(
        default=False, description="Answer 422 if a text cannot be scored; otherwise only that item fails."
    )


class UploadQuery(TermsIn, SubmitQuery):
    """Parameters of POST /v1/jobs with lines or rows: the body holds only items, so the terms are here."""

    nested: ClassVar[tuple[str, ...]] = ("metadata", "webhook")
    lists: ClassVar[tuple[str, ...]] = ("webhook.events", "aspects")

    text_column: Annotated[str, Field(max_length=MAX_COLUMN_CHARS)] | None = Field(
        None, description="Of rows: the column that is the text; `text` if left out. The others are `data`."
    )
    from_index: Annotated[int, Field(ge=0), _FROM_DIGITS] | None = Field(
        None,
        description="Resume the upload of the `Idempotency-Key`: the index of the first item of the body, "
        "which is the number of items that are recorded.",
    )
    sentences: Annotated[Sentences, _FROM_WORD, _FLAG_SCHEMA] = PLAIN.sentences
    explain: Annotated[Explain, _FROM_WORD, _FLAG_SCHEMA] = PLAIN.explain
    keep_texts: Annotated[KeepTexts, _FROM_WORD, _FLAG_SCHEMA] = False

    @field_validator("aspects", mode="before")
    @classmethod
    def _split_aspects(cls, aspects: Any) -> Any:
        """Split `aspects=a,b`."""
        return aspects.split(",", MAX_ASPECTS) if isinstance(aspects, str) else aspects

    @field_validator("webhook", mode="before")
    @classmethod
    def _split_events(cls, webhook: Any) -> Any:
        """Split `webhook.events=a,b`."""
        if isinstance(webhook, dict) and "events" in webhook:
            return webhook | {"events": webhook["events"].split(",", len(Event))}
        return webhook
