"""GET /metrics, for Prometheus."""

from __future__ import annotations

import logging

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from api.auth.guard import public
from api.auth.origins import any_host
from api.output.store_collector import StoreCollector, StoreDown
from api.routes.context import services
from tasks.errors import StoreUnavailableError

logger = logging.getLogger(__name__)
blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@public
@any_host
def get_metrics() -> Response:
    """Get the metrics of backlog, throughput, workers and faults in the format of Prometheus."""
    registry = CollectorRegistry()
    collector: Collector
    try:
        collector = StoreCollector(services().store)
    except StoreUnavailableError as error:
        logger.warning("metrics show only that the job store is down: %s", error)
        collector = StoreDown()
    registry.register(collector)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
