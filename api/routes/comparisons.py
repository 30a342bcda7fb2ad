"""GET /v1/jobs/{id}/comparison: where the model of a job and a second one differ."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.comparisons import comparison_view
from api.routes.context import services
from api.schemas.queries import NoQuery
from tasks.errors import NotComparedError
from tasks.store import shadows
from tasks.store.comparisons import read_comparison
from tasks.vocabulary.comparisons import Comparison
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("comparisons", __name__)


@blueprint.get("/v1/jobs/<job_id>/comparison")
def get_comparison(job_id: str) -> Response:
    """Get where the model of a job and the one that it is compared with differ."""
    read_query(NoQuery)
    store = services().store
    job = store.job(job_id, owner())
    if not job.terms.compare_with:
        raise NotComparedError(job_id)
    services().guard.count_stream()
    shadow = shadows.find(store, job)
    comparison = read_comparison(store, job.id, shadow.id) if isinstance(shadow, Job) else Comparison()
    return json_response(comparison_view(job, shadow, comparison))
