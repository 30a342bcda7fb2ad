"""GET /v1/models: what jobs may ask for."""

from __future__ import annotations

from flask import Blueprint, Response

from api.http.request import read_query
from api.http.response import json_response
from api.output.models import model_view
from api.routes.context import services
from api.schemas import models
from api.schemas.queries import NoQuery
from tasks.store.backlog import read_backlogs
from tasks.store.workers import live_workers

blueprint = Blueprint("models", __name__)


@blueprint.get("/v1/models")
def list_models() -> Response:
    """List the models by name, with their labels, limits, workers and backlog."""
    read_query(NoQuery)
    store, known = services().store, services().models
    registered = known.all(max_age_s=0)
    backlogs, workers, default = read_backlogs(store, registered), live_workers(store), known.default
    data = [model_view(model, backlogs, workers, default) for model in registered.values()]
    return json_response(models.Models(object="list", data=data))
