"""GET /v1/admin/workers: the workers and their children."""

from __future__ import annotations

from flask import Blueprint, Response

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_query
from api.http.response import json_response
from api.output.workers import workers_view
from api.routes.context import services
from api.schemas.queries import NoQuery

blueprint = Blueprint("workers", __name__)


@blueprint.get("/v1/admin/workers")
@requires(Scope.OPERATOR)
def list_workers() -> Response:
    """List the workers and their children: model, rate, memory, age, who holds a lease, who was replaced."""
    read_query(NoQuery)
    return json_response(workers_view(services().store))
