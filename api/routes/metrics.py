"""GET /metrics, for Prometheus."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth.guard import public
from api.auth.origins import any_host
from api.routes.context import services

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@public
@any_host
def get_metrics() -> Response:
    """Get the metrics of backlog, throughput, workers and faults in the format of Prometheus."""
    return Response(services().metrics.get(), content_type=CONTENT_TYPE_LATEST)
