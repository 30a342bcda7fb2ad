"""/v1/jobs/{id}/deliveries: what became of a job's webhook."""

from __future__ import annotations

from flask import Blueprint, Response

from api.openapi import others
from api.replies import refuse_unknown_queries, reply
from api.requests import owner
from api.services import services
from api.views import rfc3339
from tasks.store.deliveries import Attempt, DeliveryLog, log

deliveries = Blueprint("deliveries", __name__)


@deliveries.get("/v1/jobs/<job_id>/deliveries")
def read(job_id: str) -> Response:
    """Return the job's delivery with all its attempts; none before it is over, or if it has no webhook."""
    refuse_unknown_queries()
    job = services().ledger.job(job_id, owner())
    delivery = log(services().ledger, job.id)
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
