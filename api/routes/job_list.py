"""GET /v1/jobs and POST /v1/jobs/lookup: many jobs at once."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.problems import bad_query, known_problem
from api.http.request import owner, read_json, read_query
from api.http.response import json_response
from api.output.serializers import job_view
from api.routes.context import services
from api.schemas import jobs
from api.schemas.queries import JobsQuery, NoQuery
from api.schemas.request_bodies import LookupIn
from tasks.store import listing
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("job_list", __name__)


@blueprint.get("/v1/jobs")
def list_jobs() -> Response:
    """List your jobs, newest first."""
    query = read_query(JobsQuery)
    cursor = query.cursor
    if cursor is not None and services().store.issued_at_ms(cursor, owner()) is None:
        raise bad_query("cursor", f"{cursor!r} is not a next_cursor of this list")
    page, next_cursor = listing.page(
        services().store, owner(), _filter(query), cursor, query.limit, charge=services().guard.charge
    )
    data = [job_view(job, services().backlog_cache.position(job)) for job in page]
    body = jobs.JobsPage(object="list", data=data, next_cursor=next_cursor)
    return services().guard.count_response(json_response(body))


@blueprint.post("/v1/jobs/lookup")
@requires(Scope.READ)
def lookup_jobs() -> Response:
    """Get up to 500 jobs by id, each as it is or with the reason why it is missing."""
    read_query(NoQuery)
    ids = read_json(LookupIn, services().settings).ids
    records = services().store.jobs(ids, owner())
    data = [
        job_view(job, services().backlog_cache.position(job))
        if isinstance(job, Job)
        else jobs.MissingJob(id=job_id, object="error", error=known_problem(job))
        for job_id, job in zip(ids, records, strict=True)
    ]
    return services().guard.count_response(json_response(jobs.JobLookup(object="list", data=data)))


def _filter(query: JobsQuery) -> listing.Filter:
    return listing.Filter(
        _epoch_ms(query.created_after), _epoch_ms(query.created_before), query.status, query.metadata
    )


def _epoch_ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
