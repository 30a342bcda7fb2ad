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
    description: str
    location: Literal["query", "header"] = "query"


@dataclass(frozen=True)
class ResponseSpec:
    """A success: what it carries by media type, its headers, what can be done with the job it names."""

    description: str
    content: Mapping[str, Any]
    headers: Sequence[str] = ()
    links: bool = False


@dataclass(frozen=True)
class Operation:
    """One method of one path. Problems are those beyond 503, which all have that need the job store."""

    responses: Mapping[int, ResponseSpec]
    problems: Sequence[int] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    parameters: Sequence[Parameter] = ()
    store: bool = True
    description: str = ""


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
_JOB_PROBLEMS = (404, 410, 422)
_BODY_PROBLEMS = (400, 413, 415, 422)
_JOB = {JSON: jobs.Job}
_ACCEPTED = {
    200: ResponseSpec(
        "Over within the wait", _JOB, ("Location", "Preference-Applied", "Idempotent-Replayed"), links=True
    ),
    202: ResponseSpec(
        *("Accepted", _JOB, ("Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed")),
        links=True,
    ),
}

# By operationId, which is the name of the handler.
OPERATIONS: dict[str, Operation] = {
    "create_job": Operation(
        body={JSON: JobIn, NDJSON: Lines},
        parameters=(STRICT, *UPLOAD, PREFER, IDEMPOTENCY_KEY),
        responses=_ACCEPTED,
        problems=(*_BODY_PROBLEMS, 409),
        description="""Items that are many come as lines (`application/x-ndjson`, `Content-Encoding: gzip`
too): a line is an item or a bare JSON string, the terms are in the query, parts of them as
`metadata.name=value`, `webhook.url=value`, `webhook.events=a,b`, and what has come is worked on while the
rest is read.""",
    ),
    "get_job": Operation(
        parameters=(INCLUDE, PREFER),
        responses={200: ResponseSpec("The job", _JOB, ("Retry-After", "Preference-Applied"))},
        problems=_JOB_PROBLEMS,
    ),
    "cancel_job": Operation(
        responses={
            200: ResponseSpec("It was over already", _JOB),
            202: ResponseSpec("It ends soon, or has ended now", _JOB, ("Retry-After",)),
        },
        problems=_JOB_PROBLEMS,
    ),
    "retry_job": Operation(
        parameters=(PREFER, IDEMPOTENCY_KEY), responses=_ACCEPTED, problems=(*_JOB_PROBLEMS, 409)
    ),
    "delete_job": Operation(responses={204: ResponseSpec("Erased", {})}, problems=_JOB_PROBLEMS),
    "get_results": Operation(
        parameters=(
            *(LIMIT, CURSOR, Parameter("status", ItemStatus, "Only items that are so.")),
            Parameter("follow", Flag, "Stream items as they end, until the job is over."),
        ),
        responses={
            200: ResponseSpec("A page, or a stream", {JSON: jobs.ResultsPage, NDJSON: str, "text/csv": str})
        },
        problems=_JOB_PROBLEMS,
        description="""`Accept` chooses the form. A stream of lines ends with one of `"object": "end"`, which
tells whether it is whole and where to read on.""",
    ),
    "stream_events": Operation(
        parameters=(LAST_EVENT_ID,),
        responses={
            200: ResponseSpec("Events, each with the job", {"text/event-stream": jobs.StreamEvent}),
            204: ResponseSpec("Nothing more will happen, and that is known already", {}),
        },
        problems=_JOB_PROBLEMS,
    ),
    "list_deliveries": Operation(
        responses={200: ResponseSpec("The deliveries", {JSON: deliveries.DeliveriesPage})},
        problems=_JOB_PROBLEMS,
    ),
    "list_jobs": Operation(
        parameters=FILTERS, responses={200: ResponseSpec("A page", {JSON: jobs.JobsPage})}, problems=(422,)
    ),
    "lookup_jobs": Operation(
        body={JSON: LookupIn},
        responses={200: ResponseSpec("The jobs", {JSON: jobs.JobLookup})},
        problems=_BODY_PROBLEMS,
    ),
    "predict_one": Operation(
        body={JSON: PredictIn},
        responses={200: ResponseSpec("The verdict", {JSON: items.Prediction})},
        problems=(*_BODY_PROBLEMS, 504),
    ),
    "predict_batch": Operation(
        body={JSON: PredictBatchIn},
        responses={200: ResponseSpec("The verdicts", {JSON: items.Predictions})},
        problems=(*_BODY_PROBLEMS, 504),
    ),
    "livez": Operation(
        responses={200: ResponseSpec("This process answers", {JSON: status.State})}, store=False
    ),
    "readyz": Operation(responses={200: ResponseSpec("Redis takes writes", {JSON: status.State})}),
    "get_metrics": Operation(
        responses={200: ResponseSpec("For Prometheus; tells when Redis is away", {"text/plain": str})},
        store=False,
    ),
    "get_queue": Operation(responses={200: ResponseSpec("The queues", {JSON: status.Queues})}),
    "get_info": Operation(responses={200: ResponseSpec("The service", {JSON: status.Info})}),
}
