"""/v1/admin/pauses and resumes: what is paused, and changing that."""

from __future__ import annotations

from flask import Blueprint, Response

from api.auth.audit_log import request_author
from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_json, read_query
from api.http.response import json_response
from api.intake.pausing import Pausing
from api.output.pauses import pauses_view
from api.routes.context import services
from api.schemas.pauses import PauseIn, ResumeIn
from api.schemas.queries import NoQuery

blueprint = Blueprint("pauses", __name__)


@blueprint.get("/v1/admin/pauses")
@requires(Scope.OPERATOR)
def list_pauses() -> Response:
    """List what is paused, the oldest first: since when, by whom and why."""
    read_query(NoQuery)
    return json_response(pauses_view(services().store))


@blueprint.post("/v1/admin/pauses")
@requires(Scope.OPERATOR)
def pause_work() -> Response:
    """Pause a class, a model or an owner; what is paused already stays as it is. Returns all pauses."""
    read_query(NoQuery)
    body = read_json(PauseIn, services().settings)
    _pausing().pause(body.target, body.reason)
    return json_response(pauses_view(services().store))


@blueprint.post("/v1/admin/resumes")
@requires(Scope.OPERATOR)
def resume_work() -> Response:
    """Resume a class, a model or an owner, if it is paused. Returns all pauses that are left."""
    read_query(NoQuery)
    _pausing().resume(read_json(ResumeIn, services().settings).target)
    return json_response(pauses_view(services().store))


def _pausing() -> Pausing:
    keys = services().api_keys
    return Pausing(
        services().store,
        services().submission,
        services().models.names,
        lambda key_id: key_id in {key.id for key in keys.all()},
        request_author(),
    )
