"""The parts of each operation that the document cannot derive from its route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict

from api.auth.key_bodies import KeyIn, KeyPatchIn, RotateIn
from api.schemas import (
    api_keys,
    audit,
    comparisons,
    deliveries,
    items,
    jobs,
    models,
    operator_deliveries,
    operator_jobs,
    owners,
    pauses,
    status,
    summaries,
    usage,
    workers,
)
from api.schemas.headers import EventId, IdempotencyKeyText, Prefer
from api.schemas.queries import (
    AllDeliveriesQuery,
    AllUsageQuery,
    AuditQuery,
    FailuresQuery,
    JobQuery,
    JobsQuery,
    NoQuery,
    OperatorJobsQuery,
    Query,
    ResultsQuery,
    SummaryQuery,
    UploadQuery,
    UsageQuery,
)
from api.schemas.request_bodies import JobIn, LookupIn, PredictBatchIn, PredictIn

JSON, NDJSON = "application/json", "application/x-ndjson"
CSV, TSV = "text/csv", "text/tab-separated-values"
# A body of white space alone has no lines.
_LINES: JsonDict = {"pattern": r"[^\t\n\u000b\u000c\r ]", "maxLength": "max_upload_bytes"}
Lines = Annotated[str, Field(json_schema_extra=_LINES)]
# Which rows fit their header is no pattern.
Rows = Annotated[str, Field(min_length=1, json_schema_extra={"maxLength": "max_upload_bytes"})]


@dataclass(frozen=True)
class Header:
    """An optional request header."""

    name: str
    type: Any
    description: str


@dataclass(frozen=True)
class ResponseSpec:
    """A successful response: models by media type, headers, and whether it links to calls for its job."""

    description: str
    content: Mapping[str, Any]
    headers: Sequence[str] = ()
    links: bool = False


@dataclass(frozen=True)
class Operation:
    """A method of a path. `problems` are its errors beside those of authentication and of the job store."""

    responses: Mapping[int, ResponseSpec]
    problems: Sequence[int] = ()
    body: Mapping[str, Any] = field(default_factory=dict)
    query: type[Query] = NoQuery
    headers: Sequence[Header] = ()
    store: bool = True
    description: str = ""


PREFER = Header(
    *("Prefer", Prefer),
    "`wait=N` holds the response up to N seconds until the job finishes; see `Preference-Applied`.",
)
IDEMPOTENCY_KEY = Header(
    *("Idempotency-Key", IdempotencyKeyText),
    "Repeating a request with its key makes no second job; see `Idempotent-Replayed`. "
    "Repeating an upload that ended early resumes it.",
)
LAST_EVENT_ID = Header(
    "Last-Event-ID", EventId, "The id of the last event received: the stream continues behind it."
)
_JOB_PROBLEMS = (404, 410, 422)
_BODY_PROBLEMS = (400, 408, 413, 415, 422)
_JOB = {JSON: jobs.Job}
_KEY = {JSON: api_keys.Key}
_KEY_PROBLEMS = (404, 422)
_ACCEPTED = {
    200: ResponseSpec(
        "Finished within the wait",
        _JOB,
        ("Location", "Preference-Applied", "Idempotent-Replayed"),
        links=True,
    ),
    202: ResponseSpec(
        *("Accepted", _JOB, ("Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed")),
        links=True,
    ),
}

# By operationId, which is the name of the handler.
OPERATIONS: dict[str, Operation] = {
    "create_job": Operation(
        body={JSON: JobIn, NDJSON: Lines, CSV: Rows, TSV: Rows},
        query=UploadQuery,
        headers=(PREFER, IDEMPOTENCY_KEY),
        responses=_ACCEPTED,
        problems=(*_BODY_PROBLEMS, 409, 410),
        description="""Send many items as lines (`application/x-ndjson`) or as rows of CSV or TSV, plain or
gzip. A line is an item or a JSON string. The first row is a header: `text_column` names the column of the
text, and the others become `data`. The terms are query parameters, nested ones as `metadata.name=value`,
`webhook.url=value`, `webhook.events=a,b`. Scoring starts before the upload ends.""",
    ),
    "get_job": Operation(
        query=JobQuery,
        headers=(PREFER,),
        responses={200: ResponseSpec("The job", _JOB, ("Retry-After", "Preference-Applied"))},
        problems=_JOB_PROBLEMS,
    ),
    "cancel_job": Operation(
        responses={
            200: ResponseSpec("It was finished already", _JOB),
            202: ResponseSpec("It is canceled, or will be soon", _JOB, ("Retry-After",)),
        },
        problems=_JOB_PROBLEMS,
    ),
    "retry_job": Operation(
        headers=(PREFER, IDEMPOTENCY_KEY), responses=_ACCEPTED, problems=(*_JOB_PROBLEMS, 409)
    ),
    "delete_job": Operation(responses={204: ResponseSpec("Deleted", {})}, problems=_JOB_PROBLEMS),
    "get_results": Operation(
        query=ResultsQuery,
        responses={
            200: ResponseSpec(
                *("A page, or a stream", {JSON: jobs.ResultsPage, NDJSON: str, "text/csv": str}),
                ("X-Complete", "X-Next-Cursor", "Content-Disposition"),
            )
        },
        problems=_JOB_PROBLEMS,
        description="""`Accept` selects the format. The last line of an NDJSON stream has `"object": "end"`,
says whether the stream is complete and gives the cursor of the rest. With `Accept-Encoding: gzip` the
response is compressed.""",
    ),
    "get_summary": Operation(
        query=SummaryQuery,
        responses={200: ResponseSpec("The finished items by outcome", {JSON: summaries.Summary})},
        problems=_JOB_PROBLEMS,
    ),
    "get_comparison": Operation(
        responses={200: ResponseSpec("The comparison", {JSON: comparisons.Comparison})},
        problems=(*_JOB_PROBLEMS, 409),
        description="""For a job with `compare_with`, also while it runs: the items of the sample that both
models have scored by now.""",
    ),
    "stream_events": Operation(
        headers=(LAST_EVENT_ID,),
        responses={
            200: ResponseSpec("Events, each with the job", {"text/event-stream": jobs.StreamEvent}),
            204: ResponseSpec("The job is finished, and you have received its last event", {}),
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
    "get_usage": Operation(
        query=UsageQuery,
        responses={
            200: ResponseSpec("The usage", {JSON: usage.OwnUsage, CSV: str}, headers=("Content-Disposition",))
        },
        problems=(422,),
        description="""Counted in the step that writes outcomes. Kept by day for at least 62 days, then by
month, for 400 days; a month is there as a whole if it has any of the days.""",
    ),
    "get_all_usage": Operation(
        query=AllUsageQuery,
        responses={
            200: ResponseSpec("The usage", {JSON: usage.AllUsage, CSV: str}, headers=("Content-Disposition",))
        },
        problems=(422,),
    ),
    "list_audit_entries": Operation(
        query=AuditQuery,
        responses={200: ResponseSpec("The entries", {JSON: audit.AuditPage})},
        problems=(422,),
    ),
    "list_all_jobs": Operation(
        query=OperatorJobsQuery,
        responses={200: ResponseSpec("The jobs", {JSON: operator_jobs.OperatorJobs})},
        problems=(422,),
    ),
    "list_failures": Operation(
        query=FailuresQuery,
        responses={200: ResponseSpec("The jobs and their errors", {JSON: operator_jobs.Failures})},
        problems=(422,),
    ),
    "replay_failures": Operation(
        body={JSON: operator_jobs.ReplayIn},
        responses={200: ResponseSpec("What was replayed, or would be", {JSON: operator_jobs.Replays})},
        problems=_BODY_PROBLEMS,
    ),
    "list_all_deliveries": Operation(
        query=AllDeliveriesQuery,
        responses={200: ResponseSpec("The deliveries", {JSON: operator_deliveries.OwnedDeliveries})},
        problems=(422,),
    ),
    "redeliver_webhooks": Operation(
        body={JSON: operator_deliveries.RedeliveryIn},
        responses={
            200: ResponseSpec("What is made again, or would be", {JSON: operator_deliveries.Redeliveries})
        },
        problems=(*_BODY_PROBLEMS, 404),
    ),
    "test_webhook": Operation(
        body={JSON: operator_deliveries.WebhookTestIn},
        responses={200: ResponseSpec("What was answered", {JSON: operator_deliveries.WebhookTest})},
        problems=(*_BODY_PROBLEMS, 404),
        description="""A sender posts it at once, by the rules of all deliveries: addresses, timeout and
signature. The event is `webhook.test`. If no sender takes it within 10 s, this is 503
and it is not sent.""",
    ),
    "list_workers": Operation(
        responses={200: ResponseSpec("The workers", {JSON: workers.AllWorkers})}, problems=(422,)
    ),
    "list_owners": Operation(
        responses={200: ResponseSpec("The owners", {JSON: owners.Owners})}, problems=(422,)
    ),
    "list_pauses": Operation(
        responses={200: ResponseSpec("The pauses", {JSON: pauses.Pauses})}, problems=(422,)
    ),
    "pause_work": Operation(
        body={JSON: pauses.PauseIn},
        responses={200: ResponseSpec("All pauses", {JSON: pauses.Pauses})},
        problems=(*_BODY_PROBLEMS, 404),
        description="""Nothing of it is leased until it is resumed, and deadlines stand still; new work is
accepted, and waits.""",
    ),
    "resume_work": Operation(
        body={JSON: pauses.ResumeIn},
        responses={200: ResponseSpec("All pauses that are left", {JSON: pauses.Pauses})},
        problems=_BODY_PROBLEMS,
    ),
    "list_keys": Operation(responses={200: ResponseSpec("The keys", {JSON: api_keys.Keys})}, problems=(422,)),
    "create_key": Operation(
        body={JSON: KeyIn},
        responses={201: ResponseSpec("The key with its secret", {JSON: api_keys.NewSecret}, ("Location",))},
        problems=_BODY_PROBLEMS,
    ),
    "get_key": Operation(responses={200: ResponseSpec("The key", _KEY)}, problems=_KEY_PROBLEMS),
    "change_key": Operation(
        body={JSON: KeyPatchIn},
        responses={200: ResponseSpec("The key as it is now", _KEY)},
        problems=(*_BODY_PROBLEMS, 404, 409),
    ),
    "revoke_key": Operation(responses={204: ResponseSpec("Revoked", {})}, problems=(*_KEY_PROBLEMS, 409)),
    "rotate_key": Operation(
        body={JSON: RotateIn},
        responses={200: ResponseSpec("The key with its new secret", {JSON: api_keys.NewSecret})},
        problems=(*_BODY_PROBLEMS, 404, 409),
    ),
    "lookup_jobs": Operation(
        body={JSON: LookupIn},
        responses={200: ResponseSpec("The jobs", {JSON: jobs.JobLookup})},
        problems=_BODY_PROBLEMS,
    ),
    "predict_one": Operation(
        body={JSON: PredictIn},
        responses={200: ResponseSpec("The sentiment", {JSON: items.Prediction})},
        problems=(*_BODY_PROBLEMS, 504),
    ),
    "predict_batch": Operation(
        body={JSON: PredictBatchIn},
        responses={200: ResponseSpec("The sentiments", {JSON: items.Predictions})},
        problems=(*_BODY_PROBLEMS, 504),
    ),
    "livez": Operation(
        responses={200: ResponseSpec("This process answers", {JSON: status.State})}, store=False
    ),
    "readyz": Operation(responses={200: ResponseSpec("Redis accepts writes", {JSON: status.State})}),
    "get_metrics": Operation(
        responses={
            200: ResponseSpec(
                "Metrics; `sentiq_store_up` is 0 while Redis is unreachable", {"text/plain": str}
            )
        },
        store=False,
    ),
    "list_models": Operation(
        responses={200: ResponseSpec("The models", {JSON: models.Models})}, problems=(422,)
    ),
    "get_queue": Operation(responses={200: ResponseSpec("The backlog", {JSON: status.Queues})}),
    "get_info": Operation(responses={200: ResponseSpec("The service", {JSON: status.Info})}),
}
