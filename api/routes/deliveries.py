"""/v1/jobs/{id}/deliveries: what became of a job's webhook."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.request import owner, refuse_unknown_queries
from api.http.response import reply
from api.output.serializers import delivery_view
from api.routes.context import services
from api.schemas.deliveries import DeliveriesPage
from tasks.store.deliveries import read_log

deliveries = Blueprint("deliveries", __name__)


@deliveries.get("/v1/jobs/<job_id>/deliveries")
def read(job_id: str) -> Response:
    """Return the job's delivery with all its attempts; none before it is over, or if it has no webhook."""
    refuse_unknown_queries()
    job = services().store.job(job_id, owner())
    delivery = read_log(services().store, job.id)
    data = [delivery_view(delivery)] if delivery else []
    return reply(DeliveriesPage(object="list", job_id=job.id, data=data))
