"""GET /v1/jobs and POST /v1/jobs/lookup: many jobs at once."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, request

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.problems import bad_query, known_problem
from api.http.request import owner, query_choice, read_json, refuse_unknown_queries
from api.http.response import json_response
from api.output.serializers import job_view
from api.routes.context import services
from api.schemas import jobs
from api.schemas.request_bodies import LookupIn
from tasks.store import listing
from tasks.vocabulary.jobs import Job, JobStatus

blueprint = Blueprint("job_list", __name__)

_MAX_LIMIT, _DEFAULT_LIMIT = 100, 20
_METADATA = "metadata."


@blueprint.get("/v1/jobs")
def list_jobs() -> Response:
    """Return the caller's jobs, newest first."""
    refuse_unknown_queries(
        *("status", "created_after", "created_before", "cursor", "limit"),
        *(name for name in request.args if name.startswith(_METADATA)),
    )
    cursor = request.args.get("cursor")
    if cursor is not None and services().store.ids.issued_at_ms(cursor, owner()) is None:
        raise bad_query("cursor", f"{cursor!r} is not a next_cursor of this list")
    page, next_cursor = listing.page(services().store, owner(), _filter(), cursor, _limit())
    data = [job_view(job, services().backlog_cache.position(job)) for job in page]
    return json_response(jobs.JobsPage(object="list", data=data, next_cursor=next_cursor))


@blueprint.post("/v1/jobs/lookup")
@requires(Scope.READ)
def lookup_jobs() -> Response:
    """Return each of the jobs named, or why there is none, in the order of the ids."""
    refuse_unknown_queries()
    ids = read_json(LookupIn).ids
    records = services().store.jobs(ids, owner())
    data = [
        job_view(job, services().backlog_cache.position(job))
        if isinstance(job, Job)
        else jobs.MissingJob(id=job_id, object="error", error=known_problem(job))
        for job_id, job in zip(ids, records, strict=True)
    ]
    return json_response(jobs.JobLookup(object="list", data=data))


def _filter() -> listing.Filter:
    status = query_choice("status", *JobStatus)
    metadata = {
        name.removeprefix(_METADATA): value
        for name, value in request.args.items()
        if name.startswith(_METADATA)
    }

    def matches(job: Job) -> bool:
        return status in (None, job.status) and metadata.items() <= job.terms.metadata.items()

    return listing.Filter(_time_ms("created_after"), _time_ms("created_before"), matches)


def _time_ms(name: str) -> int | None:
    raw = request.args.get(name)
    if raw is None:
        return None
    try:
        time = datetime.fromisoformat(raw)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or not 1970 <= time.year < 9999:  # noqa: PLR2004  a sane calendar
        raise bad_query(name, f"{raw!r} is not a time like 2026-01-31T08:00:00Z")
    return int(time.timestamp() * 1000)


def _limit() -> int:
    raw = request.args.get("limit", str(_DEFAULT_LIMIT))
    if not (
        raw.isascii() and raw.isdecimal() and len(raw) <= len(str(_MAX_LIMIT)) and 1 <= int(raw) <= _MAX_LIMIT
    ):
        raise bad_query("limit", f"{raw!r} is not a number from 1 to {_MAX_LIMIT}")
    return int(raw)
