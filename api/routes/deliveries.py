"""/v1/jobs/{id}/deliveries: what became of a job's webhook."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.request import refuse_unknown_queries, reply
from api.output.serializers import rfc3339
from api.routes.context import services
from api.schemas import status as others
from api.schemas.request_bodies import owner
from tasks.store.deliveries import Attempt, DeliveryLog, read_log

deliveries = Blueprint("deliveries", __name__)


@deliveries.get("/v1/jobs/<job_id>/deliveries")
def read(job_id: str) -> Response:
    """Return the job's delivery with all its attempts; none before it is over, or if it has no webhook."""
    refuse_unknown_queries()
    job = services().store.job(job_id, owner())
    delivery = read_log(services().store, job.id)
    data = [_delivery_view(delivery)] if delivery else []
    return reply(others.DeliveriesPage(object="list", job_id=job.id, data=data))


def _delivery_view(delivery: DeliveryLog) -> others.Delivery:
    return {
        "id": delivery.message_id,
        "object": "delivery",
        "event": delivery.event,
        "url": delivery.url,
        "status": delivery.status,
        "attempts": [_attempt_view(attempt) for attempt in delivery.attempts],
        "next_attempt_at": rfc3339(delivery.next_ms),
    }


def _attempt_view(attempt: Attempt) -> others.Attempt:
    return {
        "number": attempt.number,
        "at": rfc3339(attempt.at_ms),
        "status_code": attempt.status_code,
        "error": attempt.error,
        "duration_ms": attempt.duration_ms,
    }
