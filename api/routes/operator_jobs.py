"""/v1/admin/jobs, failures and replays: the jobs of all owners, and their failed items again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response

from api.auth.audit_log import request_author
from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_json, read_query, request_id
from api.http.response import json_response
from api.intake.replays import Replay, Replays
from api.output.operator_jobs import operator_job_view, sum_of_errors
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
    passing = JobFilter(
        query.owner,
        query.status,
        query.model,
        query.priority,
        _ms(query.created_after),
        _ms(query.created_before),
    )
    jobs, cursor = _page(passing, query)
    return json_response(bodies.OperatorJobs(object="list", data=_views(jobs), next_cursor=cursor))


@blueprint.get("/v1/admin/failures")
@requires(Scope.OPERATOR)
def list_failures() -> Response:
    """List the jobs with items that failed or timed out, with these items by code."""
    query = read_query(FailuresQuery)
    jobs, cursor = _page(_failed(query), query)
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
    done, cursor = replays.run(_failed(body), body.cursor, body.limit, services().guard.charge)
    return json_response(
        bodies.Replays(
            object="list",
            dry_run=body.dry_run,
            items=sum(each.items for each in done),
            data=list(map(_replay_view, done)),
            next_cursor=cursor,
        )
    )


def _page(passing: JobFilter, query: OperatorJobsQuery | FailuresQuery) -> tuple[list[Job], str | None]:
    return page(services().store, passing, query.cursor, query.limit, charge=services().guard.charge)


def _failed(asked: FailuresQuery | bodies.ReplayIn) -> JobFilter:
    return JobFilter(
        owner=asked.owner,
        model=asked.model,
        created_after_ms=_ms(asked.created_after),
        created_before_ms=_ms(asked.created_before),
        failed=True,
    )


def _views(jobs: Sequence[Job]) -> list[bodies.OperatorJob]:
    names = {key.id: key.name for key in services().api_keys.all()}
    errors = errors_of(services().store, [job.id for job in jobs])
    return [operator_job_view(job, names.get(job.terms.owner), errors[job.id]) for job in jobs]


def _replay_view(replay: Replay) -> bodies.ReplayedJob:
    return {
        "job": replay.job.id,
        "owner": replay.job.terms.owner,
        "items": replay.items,
        "replay": replay.replay,
        "refused": replay.refused,
    }


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
