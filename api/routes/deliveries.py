"""GET /v1/jobs/{id}/deliveries: the delivery of a job's webhook."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.serializers import delivery_view
from api.routes.context import services
from api.schemas.deliveries import DeliveriesPage
from api.schemas.queries import NoQuery
from tasks.store.deliveries import read_log

blueprint = Blueprint("deliveries", __name__)


@blueprint.get("/v1/jobs/<job_id>/deliveries")
def list_deliveries(job_id: str) -> Response:
    """List the deliveries of a job's webhook with their attempts; none before the job finishes."""
    read_query(NoQuery)
    job = services().store.job(job_id, owner())
    delivery = read_log(services().store, job.id)
    data = [delivery_view(delivery)] if delivery else []
    return json_response(DeliveriesPage(object="list", job_id=job.id, data=data))
