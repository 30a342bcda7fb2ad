"""GET /v1/admin/audit: who did what to which job or key."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.request import read_query
from api.http.response import json_response
from api.routes.context import services
from api.schemas import audit as bodies
from api.schemas.queries import AuditQuery
from api.schemas.times import rfc3339
from tasks.store.audit import AuditEntry, AuditFilter, latest

blueprint = Blueprint("audit", __name__)


@blueprint.get("/v1/admin/audit")
@requires(Scope.OPERATOR)
def list_audit_entries() -> Response:
    """List what was done to jobs and keys, the newest first."""
    query = read_query(AuditQuery)
    asked = {
        "action": query.action,
        "by": query.by,
        "key_id": query.key,
        "job_id": query.job,
        "outcome": query.outcome,
    }
    fields = {name: value for name, value in asked.items() if value is not None}
    passing = AuditFilter(fields, _ms(query.after), _ms(query.before))
    found, cursor = latest(
        services().store, passing, query.cursor, query.limit, charge=services().guard.charge
    )
    data = [_view(entry) for entry in found]
    return json_response(bodies.AuditPage(object="list", data=data, next_cursor=cursor))


def _view(entry: AuditEntry) -> bodies.AuditEntry:
    return {
        "id": entry.id,
        "object": "audit_entry",
        "at": rfc3339(entry.at_ms),
        "action": entry.action,
        "by": entry.by,
        "address": entry.address,
        "key": entry.key_id,
        "job": entry.job_id,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
