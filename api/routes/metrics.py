"""GET /metrics, for Prometheus."""

from __future__ import annotations

import logging

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from api.auth.guard import public
from api.output.store_collector import StoreCollector, StoreDown
from api.routes.context import services
from tasks.errors import StoreUnavailableError

logger = logging.getLogger(__name__)
blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
@public
def get_metrics() -> Response:
    """Tell what waits, how fast it drains, who works, and what was lost and mended."""
    registry = CollectorRegistry()
    collector: Collector
    try:
        collector = StoreCollector(services().store)
    except StoreUnavailableError as error:
        logger.warning("no figures to tell: %s", error)
        collector = StoreDown()
    registry.register(collector)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
