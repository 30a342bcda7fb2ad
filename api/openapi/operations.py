"""What the document says of each operation beyond its path and its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from api.schemas import deliveries, items, jobs, status
from api.schemas.queries import JobQuery, JobsQuery, NoQuery, Query, ResultsQuery, UploadQuery
from api.schemas.request_bodies import JobIn, LookupIn, PredictBatchIn, PredictIn

JSON, NDJSON = "application/json", "application/x-ndjson"
# Of a body of nothing but white space no job can be made.
Lines = Annotated[str, Field(json_schema_extra={"pattern": r"[^\t\n\u000b\u000c\r ]"})]


@dataclass(frozen=True)
class Header:
    """A request header; none is required."""

    name: str
    type: Any
    description: str


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
    query: type[Query] = NoQuery
    headers: Sequence[Header] = ()
    store: bool = True
    description: str = ""


PREFER = Header(
    *("Prefer", str),
    "`wait=N` holds the answer for up to N seconds until the job is over; `Preference-Applied` says so.",
)
IDEMPOTENCY_KEY = Header(
    *("Idempotency-Key", Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]),
    "The same request with the same key makes no second job: the answer is `Idempotent-Replayed: true`.",
)
LAST_EVENT_ID = Header("Last-Event-ID", str, "The last event seen: only what is new is told.")
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
        query=UploadQuery,
        headers=(PREFER, IDEMPOTENCY_KEY),
        responses=_ACCEPTED,
        problems=(*_BODY_PROBLEMS, 409),
        description="""Items that are many come as lines (`application/x-ndjson`, `Content-Encoding: gzip`
too): a line is an item or a bare JSON string, the terms are in the query, parts of them as
`metadata.name=value`, `webhook.url=value`, `webhook.events=a,b`, and what has come is worked on while the
rest is read.""",
    ),
    "get_job": Operation(
        query=JobQuery,
        headers=(PREFER,),
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
        headers=(PREFER, IDEMPOTENCY_KEY), responses=_ACCEPTED, problems=(*_JOB_PROBLEMS, 409)
    ),
    "delete_job": Operation(responses={204: ResponseSpec("Erased", {})}, problems=_JOB_PROBLEMS),
    "get_results": Operation(
        query=ResultsQuery,
        responses={
            200: ResponseSpec("A page, or a stream", {JSON: jobs.ResultsPage, NDJSON: str, "text/csv": str})
        },
        problems=_JOB_PROBLEMS,
        description="""`Accept` chooses the form. A stream of lines ends with one of `"object": "end"`, which
tells whether it is whole and where to read on.""",
    ),
    "stream_events": Operation(
        headers=(LAST_EVENT_ID,),
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
        query=JobsQuery, responses={200: ResponseSpec("A page", {JSON: jobs.JobsPage})}, problems=(422,)
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
