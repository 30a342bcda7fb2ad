"""What the document says of each operation beyond its path and its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import deliveries, items, jobs, status
from api.schemas.request_bodies import DeadlineS, JobIn, LookupIn, PredictBatchIn, PredictIn, ResultTtlS
from tasks.vocabulary.items import ItemStatus
from tasks.vocabulary.jobs import JobStatus, QueueClass
from tasks.vocabulary.options import OnLongText

JSON, NDJSON = "application/json", "application/x-ndjson"
Flag = Literal["true", "false"]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
# Of a body of nothing but white space no job can be made.
Lines = Annotated[str, Field(json_schema_extra={"pattern": r"[^\t\n\u000b\u000c\r ]"})]


@dataclass(frozen=True)
class Parameter:
    """A query parameter or a request header; none is required."""

    name: str
    type: Any
    about: str
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True)
class Answer:
    """A success: what it carries by media type, its headers, what can be done with the job it names."""

    about: str
    content: Mapping[str, Any]
    headers: Sequence[str] = ()
    follow: bool = False


@dataclass(frozen=True)
class Operation:
    """One method of one path. Problems are those beyond 503, which all have that need the job store."""

    answers: Mapping[int, Answer]
    problems: Sequence[int] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    parameters: Sequence[Parameter] = ()
    store: bool = True
    about: str = ""


PREFER = Parameter(
    *("Prefer", str),
    "`wait=N` holds the answer for up to N seconds until the job is over; `Preference-Applied` says so.",
    "header",
)
IDEMPOTENCY_KEY = Parameter(
    *("Idempotency-Key", Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]),
    "The same request with the same key makes no second job: the answer is `Idempotent-Replayed: true`.",
    "header",
)
LAST_EVENT_ID = Parameter("Last-Event-ID", str, "The last event seen: only what is new is told.", "header")
STRICT = Parameter("strict", Flag, "Answer 422 if any item cannot be scored, instead of failing it alone.")
INCLUDE = Parameter("include", Literal["results"], "Adds up to 100 results, and the cursor of the rest.")
LIMIT = Parameter(
    *("limit", Annotated[int, Field(ge=1, le=1000)]),
    "Most items of a page, 1,000 if left out; a stream may have more, and has all if left out.",
)
CURSOR = Parameter(
    *("cursor", Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$")]),
    "`next_cursor` of the page before, of the same job.",
)
UPLOAD = (
    Parameter("on_long_text", OnLongText, "As in the document."),
    Parameter("sentences", Flag, "As in the document."),
    Parameter("explain", Flag, "As in the document."),
    Parameter("priority", QueueClass, "As in the document."),
    Parameter("deadline_s", DeadlineS, "As in the document."),
    Parameter("result_ttl_s", ResultTtlS, "As in the document."),
)
FILTERS = (
    Parameter(
        "status", JobStatus, "Only jobs that are so. Only those with some metadata: `metadata.name=value`."
    ),
    Parameter("created_after", Moment, "Only jobs that were accepted since."),
    Parameter("created_before", Moment, "Only jobs that were accepted before."),
    Parameter("limit", Annotated[int, Field(ge=1, le=100)], "Most jobs of a page; 20 if left out."),
    Parameter("cursor", str, "`next_cursor` of the page before."),
)
_OF_A_JOB = (404, 410, 422)
_OF_A_BODY = (400, 413, 415, 422)
_JOB = {JSON: jobs.Job}
_ACCEPTED = {
    200: Answer(
        "Over within the wait", _JOB, ("Location", "Preference-Applied", "Idempotent-Replayed"), follow=True
    ),
    202: Answer(
        *("Accepted", _JOB, ("Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed")),
        follow=True,
    ),
}

OPERATIONS: dict[str, Operation] = {
    "jobs.create": Operation(
        body={JSON: JobIn, NDJSON: Lines},
        parameters=(STRICT, *UPLOAD, PREFER, IDEMPOTENCY_KEY),
        answers=_ACCEPTED,
        problems=(*_OF_A_BODY, 409),
        about="""Items that are many come as lines (`application/x-ndjson`, `Content-Encoding: gzip` too):
a line is an item or a bare JSON string, the terms are in the query, parts of them as `metadata.name=value`,
`webhook.url=value`, `webhook.events=a,b`, and what has come is worked on while the rest is read.""",
    ),
    "jobs.read": Operation(
        parameters=(INCLUDE, PREFER),
        answers={200: Answer("The job", _JOB, ("Retry-After", "Preference-Applied"))},
        problems=_OF_A_JOB,
    ),
    "jobs.cancel": Operation(
        answers={
            200: Answer("It was over already", _JOB),
            202: Answer("It ends soon, or has ended now", _JOB, ("Retry-After",)),
        },
        problems=_OF_A_JOB,
    ),
    "jobs.retry": Operation(
        parameters=(PREFER, IDEMPOTENCY_KEY), answers=_ACCEPTED, problems=(*_OF_A_JOB, 409)
    ),
    "jobs.delete": Operation(answers={204: Answer("Erased", {})}, problems=_OF_A_JOB),
    "results.read": Operation(
        parameters=(
            *(LIMIT, CURSOR, Parameter("status", ItemStatus, "Only items that are so.")),
            Parameter("follow", Flag, "Stream items as they end, until the job is over."),
        ),
        answers={200: Answer("A page, or a stream", {JSON: jobs.ResultsPage, NDJSON: str, "text/csv": str})},
        problems=_OF_A_JOB,
        about="""`Accept` chooses the form. A stream of lines ends with one of `"object": "end"`, which tells
whether it is whole and where to read on.""",
    ),
    "events.read": Operation(
        parameters=(LAST_EVENT_ID,),
        answers={
            200: Answer("Events, each with the job", {"text/event-stream": jobs.StreamEvent}),
            204: Answer("Nothing more will happen, and that is known already", {}),
        },
        problems=_OF_A_JOB,
    ),
    "deliveries.read": Operation(
        answers={200: Answer("The deliveries", {JSON: deliveries.DeliveriesPage})}, problems=_OF_A_JOB
    ),
    "listing.read": Operation(
        parameters=FILTERS, answers={200: Answer("A page", {JSON: jobs.JobsPage})}, problems=(422,)
    ),
    "listing.lookup": Operation(
        body={JSON: LookupIn},
        answers={200: Answer("The jobs", {JSON: jobs.LookedUp})},
        problems=_OF_A_BODY,
    ),
    "predict.one": Operation(
        body={JSON: PredictIn},
        answers={200: Answer("The verdict", {JSON: items.Prediction})},
        problems=(*_OF_A_BODY, 504),
    ),
    "predict.batch": Operation(
        body={JSON: PredictBatchIn},
        answers={200: Answer("The verdicts", {JSON: items.Predictions})},
        problems=(*_OF_A_BODY, 504),
    ),
    "service.livez": Operation(
        answers={200: Answer("This process answers", {JSON: status.State})}, store=False
    ),
    "service.readyz": Operation(answers={200: Answer("Redis takes writes", {JSON: status.State})}),
    "metrics.read": Operation(
        answers={200: Answer("For Prometheus; tells when Redis is away", {"text/plain": str})}, store=False
    ),
    "service.queue": Operation(answers={200: Answer("The queues", {JSON: status.Queues})}),
    "service.info": Operation(answers={200: Answer("The service", {JSON: status.Info})}),
}
