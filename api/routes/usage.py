"""GET /v1/usage, and GET /v1/admin/usage over all owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, Response, request

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.problems import bad_query
from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.usage import (
    COLUMNS,
    OWNER_COLUMNS,
    ReversedDaysError,
    all_usage,
    csv_of,
    days_of,
    sum_view,
    usage_rows,
)
from api.routes.context import services
from api.schemas import usage as bodies
from api.schemas.queries import AllUsageQuery, UsageQuery
from tasks.store.usage import read_usage
from tasks.vocabulary.usage import Usage

blueprint = Blueprint("usage", __name__)

_JSON, _CSV = "application/json", "text/csv"


@blueprint.get("/v1/usage")
def get_usage() -> Response:
    """Get what your jobs used, by day and model."""
    query = read_query(UsageQuery)
    try:
        first, last = days_of(services().store, query)
    except ReversedDaysError as error:
        raise bad_query("from", str(error)) from None
    used = read_usage(services().store, owner(), first, last)
    rows = usage_rows(used, query.by)
    if _wants_csv():
        return _csv(rows, COLUMNS)
    total = sum_view(sum(used.values(), Usage()))
    return json_response(
        bodies.OwnUsage(object="list", first=str(first), last=str(last), data=rows, total=total)
    )


@blueprint.get("/v1/admin/usage")
@requires(Scope.OPERATOR)
def get_all_usage() -> Response:
    """Get what the jobs of all owners used, or of one."""
    query = read_query(AllUsageQuery)
    names = {key.id: key.name for key in services().api_keys.all()}
    try:
        usage = all_usage(services().store, names, query)
    except ReversedDaysError as error:
        raise bad_query("from", str(error)) from None
    return _csv(usage["data"], OWNER_COLUMNS) if _wants_csv() else json_response(usage)


def _wants_csv() -> bool:
    return request.accept_mimetypes.best_match([_JSON, _CSV], _JSON) == _CSV


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(csv_of(rows, columns), headers=headers, content_type=f"{_CSV}; charset=utf-8")
