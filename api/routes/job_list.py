"""GET /v1/jobs and POST /v1/jobs/lookup: many jobs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from flask import Blueprint, Response
from pydantic_core import to_json

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.problems import bad_query, known_problem
from api.http.request import owner, read_json, read_query
from api.http.response import json_response
from api.output.serializers import job_view, json_blocks
from api.routes.context import services
from api.schemas import jobs
from api.schemas.queries import JobsQuery, NoQuery
from api.schemas.request_bodies import LookupIn
from tasks.store import listing
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("job_list", __name__)

# A record may have tens of kilobytes of metadata.
_READ_AT_ONCE = 100


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
    body = json_blocks({"object": "list"}, "data", map(_json, page), lambda: {"next_cursor": next_cursor})
    return json_response(services().guard.counted(body))


@blueprint.post("/v1/jobs/lookup")
@requires(Scope.READ)
def lookup_jobs() -> Response:
    """Get up to 500 jobs by id, each as it is or with the reason why it is missing."""
    read_query(NoQuery)
    ids = read_json(LookupIn, services().settings).ids
    body = json_blocks({"object": "list"}, "data", _looked_up(ids), dict)
    return json_response(services().guard.counted(body))


def _looked_up(ids: Sequence[str]) -> Iterator[bytes]:
    for first in range(0, len(ids), _READ_AT_ONCE):
        some = ids[first : first + _READ_AT_ONCE]
        for job_id, job in zip(some, services().store.jobs(some, owner()), strict=True):
            if isinstance(job, Job):
                yield _json(job)
            else:
                yield to_json(jobs.MissingJob(id=job_id, object="error", error=known_problem(job)))


def _json(job: Job) -> bytes:
    return to_json(job_view(job, services().backlog_cache.position(job)))


def _filter(query: JobsQuery) -> listing.Filter:
    return listing.Filter(
        _epoch_ms(query.created_after), _epoch_ms(query.created_before), query.status, query.metadata
    )


def _epoch_ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
