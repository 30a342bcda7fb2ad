"""GET /v1/jobs/{id}/summary: the finished items of a job by outcome."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.problems import bad_query
from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.summaries import summary_view
from api.routes.context import services
from api.schemas.queries import SummaryQuery
from tasks.store.summaries import read_summary

blueprint = Blueprint("summaries", __name__)


@blueprint.get("/v1/jobs/<job_id>/summary")
def get_summary(job_id: str) -> Response:
    """Get how many items of a job have which outcome, also by the field that it is summarised by."""
    query = read_query(SummaryQuery)
    job = services().store.job(job_id, owner())
    field = job.terms.summarize_by
    if query.by not in (None, field):
        has = f"{field!r}" if field else "none"
        raise bad_query("by", f"it must be the summarize_by of this job, which has {has}")
    summary = read_summary(services().store, job.id)
    return json_response(summary_view(job, summary, by_value=query.by is not None))
