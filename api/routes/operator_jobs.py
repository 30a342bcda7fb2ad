"""/v1/admin/jobs, failures and replays: the jobs of all owners, and their failed items again."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, Response

from api.auth.audit_log import request_author
from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_json, read_query, request_id
from api.http.response import json_response
from api.intake.replays import Replays, replays_view
from api.output.operator_jobs import failed_filter, job_filter, operator_job_view, sum_of_errors
from api.routes.context import services
from api.schemas import operator_jobs as bodies
from api.schemas.queries import FailuresQuery, NoQuery, OperatorJobsQuery
from tasks.store.all_jobs import JobFilter, errors_of, page
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("operator_jobs", __name__)


@blueprint.get("/v1/admin/jobs")
@requires(Scope.OPERATOR)
def list_all_jobs() -> Response:
    """List the jobs of all owners, newest first."""
    query = read_query(OperatorJobsQuery)
    jobs, cursor = _page(job_filter(query), query)
    return json_response(bodies.OperatorJobs(object="list", data=_views(jobs), next_cursor=cursor))


@blueprint.get("/v1/admin/failures")
@requires(Scope.OPERATOR)
def list_failures() -> Response:
    """List the jobs with items that failed or timed out, with these items by code."""
    query = read_query(FailuresQuery)
    jobs, cursor = _page(failed_filter(query), query)
    data = [view for view in _views(jobs) if query.code is None or query.code in view["errors"]]
    return json_response(
        bodies.Failures(object="list", data=data, errors=sum_of_errors(data), next_cursor=cursor)
    )


@blueprint.post("/v1/admin/replays")
@requires(Scope.OPERATOR)
def replay_failures() -> Response:
    """Submit failed items again, as jobs of their owners; `dry_run`, the default, only counts them."""
    read_query(NoQuery)
    body = read_json(bodies.ReplayIn, services().settings)
    replays = Replays(
        services().store,
        services().submission,
        request_author(),
        request_id(),
        body.code,
        body.dry_run,
    )
    done, cursor = replays.run(failed_filter(body), body.cursor, body.limit, services().guard.charge)
    return json_response(replays_view(done, cursor, dry_run=body.dry_run))


def _page(passing: JobFilter, query: OperatorJobsQuery | FailuresQuery) -> tuple[list[Job], str | None]:
    return page(services().store, passing, query.cursor, query.limit, charge=services().guard.charge)


def _views(jobs: Sequence[Job]) -> list[bodies.OperatorJob]:
    names = {key.id: key.name for key in services().api_keys.all()}
    errors = errors_of(services().store, [job.id for job in jobs])
    return [operator_job_view(job, names.get(job.terms.owner), errors[job.id]) for job in jobs]
