"""Bodies about the jobs of all owners: never a text, `data`, an id of an item or a value of metadata."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from api.schemas.jobs import Counts
from api.schemas.queries import Owner
from api.schemas.request_bodies import WHOLE, ModelName
from api.schemas.types import AwareTime, Count, Time, closed
from tasks.vocabulary.items import ItemError
from tasks.vocabulary.jobs import JobStatus, QueueClass

MAX_REPLAYED_JOBS = 100


@closed
class OperatorJob(TypedDict):
    """A job of any owner; `name` is that of the key, null once it is revoked."""

    id: str
    object: Literal["job"]
    owner: str
    name: str | None
    status: JobStatus
    priority: QueueClass
    model_name: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    counts: Counts
    errors: dict[str, Count]
    uploading: bool
    retry_of: str | None
    error: str | None


@closed
class OperatorJobs(TypedDict):
    """Jobs of all owners, newest first."""

    object: Literal["list"]
    data: list[OperatorJob]
    next_cursor: str | None


@closed
class Failures(TypedDict):
    """Jobs with items that failed or timed out, newest first, and these items of the page by code."""

    object: Literal["list"]
    data: list[OperatorJob]
    errors: dict[str, Count]
    next_cursor: str | None


@closed
class ReplayedJob(TypedDict):
    """What is replayed of a job; `replay` is the new job of the same owner, null in a dry run.

    `refused` is the code of the problem for which it was not submitted.
    """

    job: str
    owner: str
    items: Count
    replay: str | None
    refused: str | None


@closed
class Replays(TypedDict):
    """What was replayed, or would be; `next_cursor` continues behind the last job that was looked at."""

    object: Literal["list"]
    dry_run: bool
    items: Count
    data: list[ReplayedJob]
    next_cursor: str | None


class ReplayIn(BaseModel):
    """Body of POST /v1/admin/replays: which failed items are submitted again, for their owners."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=True, description="Only count; nothing is submitted.")
    code: ItemError | None = Field(None, description="Only items with this error.")
    owner: Owner | None = Field(None, description="Only jobs of this key; empty for callers without keys.")
    model: ModelName | None = Field(None, description="Only jobs for this model.")
    created_after: AwareTime | None = Field(None, description="Only jobs accepted after this time.")
    created_before: AwareTime | None = Field(None, description="Only jobs accepted before this time.")
    limit: Annotated[int, Field(ge=1, le=MAX_REPLAYED_JOBS), WHOLE] = Field(
        20, description="Most jobs that one call replays."
    )
    cursor: Annotated[str, Field(max_length=38, pattern=r"^job_[0-9A-Z]{34}$")] | None = Field(
        None, description="`next_cursor` of the previous call."
    )
