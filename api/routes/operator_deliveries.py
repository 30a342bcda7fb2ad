"""/v1/admin/deliveries, redeliveries and webhook_tests: the webhooks of all owners."""

from __future__ import annotations

from flask import Blueprint, Response

from api.auth.audit_log import request_author
from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_json, read_query
from api.http.response import json_response
from api.intake.redeliveries import Redeliveries, run_test
from api.output.operator_deliveries import (
    deliveries_view,
    delivery_filter,
    redeliveries_view,
    webhook_test_view,
)
from api.routes.context import services
from api.schemas import operator_deliveries as bodies
from api.schemas.queries import AllDeliveriesQuery, NoQuery
from tasks.store.all_deliveries import page

blueprint = Blueprint("operator_deliveries", __name__)


@blueprint.get("/v1/admin/deliveries")
@requires(Scope.OPERATOR)
def list_all_deliveries() -> Response:
    """List the deliveries of the webhooks of all owners, that of the job that finished last first."""
    query = read_query(AllDeliveriesQuery)
    found, cursor = page(
        services().store, delivery_filter(query), query.cursor, query.limit, charge=services().guard.charge
    )
    names = {key.id: key.name for key in services().api_keys.all()}
    return json_response(deliveries_view(found, cursor, names))


@blueprint.post("/v1/admin/redeliveries")
@requires(Scope.OPERATOR)
def redeliver_webhooks() -> Response:
    """Make deliveries again, with the same message ids; `dry_run`, the default, only counts them."""
    read_query(NoQuery)
    body = read_json(bodies.RedeliveryIn, services().settings)
    redeliveries = Redeliveries(services().store, request_author(), body.dry_run)
    done, cursor = redeliveries.run(body, delivery_filter(body), services().guard.charge)
    return json_response(redeliveries_view(done, cursor, dry_run=body.dry_run))


@blueprint.post("/v1/admin/webhook_tests")
@requires(Scope.OPERATOR)
def test_webhook() -> Response:
    """Send a signed test to a URL or to the webhook of a job; return what was answered, and in how long."""
    read_query(NoQuery)
    body = read_json(bodies.WebhookTestIn, services().settings)
    return json_response(webhook_test_view(*run_test(services().store, body, request_author())))
