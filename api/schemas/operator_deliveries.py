"""Bodies about the webhooks of all owners: hosts, never the path or query of a URL: it may hold a token."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, model_validator
from pydantic.config import JsonDict
from typing_extensions import TypedDict

from api.schemas.queries import DeliveryCursor, Owner
from api.schemas.request_bodies import WHOLE
from api.schemas.types import AwareTime, Count, Time, closed
from tasks.vocabulary.webhooks import DeliveryStatus, Event

MAX_REDELIVERIES = 1000
JobId = Annotated[str, Field(max_length=38, pattern=r"^job_[0-9A-Z]{34}$")]
_EITHER: JsonDict = {
    "oneOf": [
        {"required": ["url"], "properties": {"url": {"type": "string"}, "job": {"type": "null"}}},
        {"required": ["job"], "properties": {"job": {"type": "string"}, "url": {"type": "null"}}},
    ]
}


@closed
class OwnedDelivery(TypedDict):
    """A delivery of any owner; `name` is that of the key, null once it is revoked.

    `attempted_at`, `status_code` and `error` are of the last attempt; `next_attempt_at` is null when no
    further one is due.
    """

    id: str
    object: Literal["delivery"]
    job: str
    owner: str
    name: str | None
    host: str
    event: Event
    status: DeliveryStatus
    attempts: Count
    attempted_at: Time | None
    status_code: int | None
    error: str | None
    next_attempt_at: Time | None
    finished_at: Time


@closed
class OwnedDeliveries(TypedDict):
    """Deliveries of all owners, that of the job that finished last first."""

    object: Literal["list"]
    data: list[OwnedDelivery]
    next_cursor: str | None


class RedeliveryIn(BaseModel):
    """Body of POST /v1/admin/redeliveries: which deliveries are made again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=True, description="Only count; nothing is sent.")
    job: JobId | None = Field(None, description="Only the delivery of this job.")
    owner: Owner | None = Field(None, description="Only of this key; empty for callers without keys.")
    status: DeliveryStatus | None = Field(
        None, description="Only those with this status; `exhausted` if left out, and any of a `job`."
    )
    finished_after: AwareTime | None = Field(None, description="Only of jobs that finished after this time.")
    finished_before: AwareTime | None = Field(None, description="Only of jobs that finished before it.")
    limit: Annotated[int, Field(ge=1, le=MAX_REDELIVERIES), WHOLE] = Field(
        100, description="Most deliveries that one call makes again."
    )
    cursor: DeliveryCursor | None = Field(None, description="`next_cursor` of the previous call.")


@closed
class Redelivery(TypedDict):
    """A delivery that is made again, or would be; `status` is the one that it had."""

    job: str
    owner: str
    host: str
    status: DeliveryStatus
    redelivered: bool


@closed
class Redeliveries(TypedDict):
    """What is made again, or would be; `next_cursor` continues behind the last one that was looked at."""

    object: Literal["list"]
    dry_run: bool
    deliveries: Count
    data: list[Redelivery]
    next_cursor: str | None


class WebhookTestIn(BaseModel):
    """Body of POST /v1/admin/webhook_tests: where a test is sent, a URL or the webhook of a job."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_EITHER)

    url: Annotated[HttpUrl, Field(json_schema_extra={"format": "public-http-url"})] | None = Field(
        None, description="Send it there."
    )
    job: JobId | None = Field(None, description="Send it to the webhook of this job.")
    owner: Owner | None = Field(
        None,
        description="The key whose secret signs it, empty for callers without keys; that of the job if left "
        "out.",
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.url is None) == (self.job is None):
            message = "give either url or job"
            raise ValueError(message)
        return self


@closed
class WebhookTest(TypedDict):
    """What the receiver of a test answered; `error` says why there is no status code."""

    id: str
    object: Literal["webhook_test"]
    owner: str
    host: str
    delivered: bool
    status_code: int | None
    error: str | None
    duration_ms: Count | None
