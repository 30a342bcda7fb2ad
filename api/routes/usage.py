"""GET /v1/usage, and GET /v1/admin/usage over all owners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, request

from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.problems import bad_query
from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.usage import COLUMNS, OWNER_COLUMNS, csv_of, sum_view, usage_rows
from api.routes.context import services
from api.schemas import usage as bodies
from api.schemas.queries import AllUsageQuery, UsageQuery
from tasks.store.usage import Period, read_usage, today, usage_owners
from tasks.vocabulary.usage import Usage

blueprint = Blueprint("usage", __name__)

_JSON, _CSV = "application/json", "text/csv"
_DEFAULT_DAYS = 30

Used = Mapping[tuple[Period, str], Usage]


@blueprint.get("/v1/usage")
def get_usage() -> Response:
    """Get what your jobs used, by day and model."""
    query = read_query(UsageQuery)
    first, last = _days(query)
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
    query, store = read_query(AllUsageQuery), services().store
    first, last = _days(query)
    names = {key.id: key.name for key in services().api_keys.all()}
    owners = usage_owners(store) if query.owner is None else [query.owner]
    rows: list[bodies.OwnerUsageRow] = []
    total = Usage()
    for each in owners:
        used = read_usage(store, each, first, last)
        total += sum(used.values(), Usage())
        rows += [{"owner": each, "name": names.get(each), **row} for row in usage_rows(used, query.by)]
    if _wants_csv():
        return _csv(rows, OWNER_COLUMNS)
    return json_response(
        bodies.AllUsage(object="list", first=str(first), last=str(last), data=rows, total=sum_view(total))
    )


def _days(query: UsageQuery) -> tuple[date, date]:
    """Return the first and the last day; 30 days up to today if they are left out."""
    last = query.to or today(services().store)
    first = query.first or last - timedelta(min(_DEFAULT_DAYS - 1, (last - date.min).days))
    if first > last:
        raise bad_query("from", f"{first} is behind {last}")
    return first, last


def _wants_csv() -> bool:
    return request.accept_mimetypes.best_match([_JSON, _CSV], _JSON) == _CSV


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(csv_of(rows, columns), headers=headers, content_type=f"{_CSV}; charset=utf-8")
