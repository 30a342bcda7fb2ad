"""GET /v1/admin/owners: what each owner has open, its share and when it should be done."""

from __future__ import annotations

from flask import Blueprint, Response

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_query
from api.http.response import json_response
from api.output.owners import owners_view
from api.routes.context import services
from api.schemas.queries import NoQuery

blueprint = Blueprint("owners", __name__)


@blueprint.get("/v1/admin/owners")
@requires(Scope.OPERATOR)
def list_owners() -> Response:
    """List the owners that have anything open or kept, with their shares and when they should be done."""
    read_query(NoQuery)
    names = {key.id: key.name for key in services().api_keys.all()}
    return json_response(owners_view(services().store, list(services().models.names), names))
