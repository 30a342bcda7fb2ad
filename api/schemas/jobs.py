"""Bodies of responses about jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from api.schemas.items import Item
from api.schemas.pauses import KnownPause
from api.schemas.problems import KnownProblem
from api.schemas.types import Count, Probability, Time, closed
from tasks.vocabulary.jobs import JobError, JobStatus, QueueClass
from tasks.vocabulary.options import OnLongText, Probabilities


@closed
class Counts(TypedDict):
    """How many items have which status; `pending` ones have none yet."""

    total: Count
    pending: Count
    succeeded: Count
    failed: Count
    canceled: Count
    timed_out: Count


@closed
class Model(TypedDict):
    """The model that scored the items."""

    id: str
    revision: str
    engine: str


@closed
class Options(TypedDict):
    """The options of a job."""

    on_long_text: OnLongText
    sentences: bool
    explain: bool
    probabilities: Probabilities | None
    aspects: list[str] | None


@closed
class Links(TypedDict):
    """Paths of the calls for the job."""

    self: str
    results: str
    summary: str
    comparison: str | None
    events: str
    cancel: str
    retry: str
    deliveries: str


@closed
class QueuePosition(TypedDict):
    """Live workers of its model, items before those of the job, and in how many seconds it should finish."""

    workers: Count
    items_ahead: Count
    eta_s: float | None


@closed
class JobErrorBody(TypedDict):
    """An error of the job as a whole; those of its items are in the results. `line` is in the upload."""

    code: JobError
    message: str
    line: NotRequired[Count]


@closed
class Job(TypedDict):
    """A job. What is not known yet, or does not apply, is null.

    `shadow` is the job in which the model in `compare_with` scores a sample; `shadow_error` says why there is
    none, or why it lacks a part of the sample. `shadow_of` is the job whose sample this one scores.
    While the job is `paused`, `deadline_at` is what it was; it moves on by the time paused.
    """

    id: str
    object: Literal["job"]
    status: JobStatus
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    not_before: Time | None
    deadline_at: Time
    expires_at: Time | None
    priority: QueueClass
    counts: Counts
    progress: Probability
    uploading: bool
    paused: KnownPause | None
    queue: QueuePosition | None
    poll_after_ms: Count | None
    model_name: str
    model: Model | None
    options: Options
    deadline_s: int | None
    result_ttl_s: int | None
    metadata: Mapping[str, str]
    retry_of: str | None
    shadow_of: str | None
    compare_with: str | None
    compare_share: Probability | None
    shadow: str | None
    shadow_error: str | None
    keep_texts: bool
    summarize_by: str | None
    error: JobErrorBody | None
    links: Links
    results: NotRequired[list[Item]]
    results_next_cursor: NotRequired[str | None]


@closed
class StreamEvent(TypedDict):
    """One event of a stream; `data` is the job as JSON, `id` the value for `Last-Event-ID`."""

    event: Literal["snapshot", "progress", "done", "gone"]
    id: str
    data: str


@closed
class ResultsPage(TypedDict):
    """Items in input order. `next_cursor` is null on the last page."""

    object: Literal["list"]
    job_id: str
    status: JobStatus
    data: list[Item]
    complete: bool
    next_cursor: str | None


@closed
class JobsPage(TypedDict):
    """Jobs, newest first. `next_cursor` is null on the last page."""

    object: Literal["list"]
    data: list[Job]
    next_cursor: str | None


@closed
class MissingJob(TypedDict):
    """Stands for a job that does not exist, with the reason."""

    id: str
    object: Literal["error"]
    error: KnownProblem


@closed
class JobLookup(TypedDict):
    """Jobs in the order of the ids."""

    object: Literal["list"]
    data: list[Job | MissingJob]
