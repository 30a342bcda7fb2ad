"""/v1/admin/keys: make, show, change, rotate and revoke API keys."""

from __future__ import annotations

from flask import Blueprint, Response, url_for

from api.auth.caller import caller
from api.auth.guard import requires
from api.auth.key_bodies import KeyIn, KeyPatchIn, RotateIn
from api.auth.key_views import KeyViews
from api.auth.scopes import Scope
from api.http.request import read_json, read_query
from api.http.response import json_response
from api.routes.context import services
from api.schemas.api_keys import Keys
from api.schemas.queries import NoQuery
from tasks.errors import OwnKeyError
from tasks.store.kept import kept_bytes

blueprint = Blueprint("keys", __name__)


@blueprint.get("/v1/admin/keys")
@requires(Scope.OPERATOR)
def list_keys() -> Response:
    """List all API keys, without secrets, the oldest first."""
    read_query(NoQuery)
    views = _views()
    data = [views.view(key) for key in services().api_keys.all()]
    return json_response(Keys(object="list", data=data))


@blueprint.post("/v1/admin/keys")
@requires(Scope.OPERATOR)
def create_key() -> Response:
    """Make an API key; the response shows its secret, this once."""
    read_query(NoQuery)
    body = read_json(KeyIn, services().settings)
    key, token = services().api_keys.create(body.name, body.scopes, **body.terms)
    headers = {"Location": url_for("keys.get_key", key_id=key.id)}
    return json_response(_views().with_secret(key, token), 201, headers)


@blueprint.get("/v1/admin/keys/<key_id>")
@requires(Scope.OPERATOR)
def get_key(key_id: str) -> Response:
    """Get an API key, without secrets."""
    read_query(NoQuery)
    return json_response(_views().view(services().api_keys.get(key_id)))


@blueprint.patch("/v1/admin/keys/<key_id>")
@requires(Scope.OPERATOR)
def change_key(key_id: str) -> Response:
    """Change an API key: what is left out stays as it is."""
    read_query(NoQuery)
    body = read_json(KeyPatchIn, services().settings)
    _require_another(key_id)
    return json_response(_views().view(services().api_keys.change(key_id, body.applied)))


@blueprint.delete("/v1/admin/keys/<key_id>")
@requires(Scope.OPERATOR)
def revoke_key(key_id: str) -> Response:
    """Revoke an API key. Its jobs stay until they expire, and nobody reads them any more."""
    read_query(NoQuery)
    _require_another(key_id)
    services().api_keys.revoke(key_id)
    return Response(status=204)


@blueprint.post("/v1/admin/keys/<key_id>/rotate")
@requires(Scope.OPERATOR)
def rotate_key(key_id: str) -> Response:
    """Give an API key a new secret, shown this once; the previous one stays valid for `overlap_s`."""
    read_query(NoQuery)
    body = read_json(RotateIn, services().settings)
    _require_another(key_id)
    key, token = services().api_keys.rotate(key_id, body.overlap_s)
    return json_response(_views().with_secret(key, token))


def _require_another(key_id: str) -> None:
    """Raise OwnKeyError if the call uses this key: so nobody locks himself out or raises his own limits."""
    if caller().owner == key_id:
        raise OwnKeyError(key_id)


def _views() -> KeyViews:
    """Return what turns keys into bodies, with what is known of their use now."""
    store = services().store
    return KeyViews(services().api_keys, kept_bytes(store), store.now_ms())
