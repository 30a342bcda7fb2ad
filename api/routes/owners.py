"""GET /v1/admin/owners: what each owner has open, its share and when it should be done."""

from __future__ import annotations

from flask import Blueprint, Response

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_query
from api.http.response import json_response
from api.routes.context import services
from api.schemas import owners as bodies
from api.schemas.queries import NoQuery
from tasks.store.owners import OwnerState, read_owners

blueprint = Blueprint("owners", __name__)


@blueprint.get("/v1/admin/owners")
@requires(Scope.OPERATOR)
def list_owners() -> Response:
    """List the owners that have anything open or kept, with their shares and when they should be done."""
    read_query(NoQuery)
    names = {key.id: key.name for key in services().api_keys.all()}
    found = read_owners(services().store, list(services().models.names))
    data = [_view(state, names.get(state.owner)) for state in found]
    return json_response(bodies.Owners(object="list", data=data))


def _view(state: OwnerState, name: str | None) -> bodies.Owner:
    return {
        "object": "owner",
        "owner": state.owner,
        "name": name,
        "weight": state.weight,
        "pending_items": max(0, state.pending_items),
        "open_jobs": state.open_jobs,
        "kept_bytes": state.kept_bytes,
        "queues": [
            {
                "model": each.queue.model,
                "priority": each.queue.queue_class,
                "items": max(0, each.items),
                "share": round(each.share, 4),
                "eta_s": None if each.eta_s is None else round(each.eta_s, 1),
            }
            for each in state.queues
        ],
    }
