"""GET /v1/jobs/{id}/results: pages of JSON, or one stream of lines or of CSV rows."""

from __future__ import annotations

import re

from flask import Blueprint, Response, request, stream_with_context

from api.http.problems import bad_query
from api.http.request import owner, query_choice, refuse_unknown_queries
from api.http.response import json_response
from api.output.formats import csv_rows, json_page, ndjson_lines
from api.output.readers import Following, Walk
from api.routes.context import services
from tasks.vocabulary.items import ItemStatus

blueprint = Blueprint("results", __name__)

MAX_PAGE_ITEMS = 1000
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_JSON, _NDJSON, _CSV = "application/json", "application/x-ndjson", "text/csv"


@blueprint.get("/v1/jobs/<job_id>/results")
def get_results(job_id: str) -> Response:
    """Return items in input order up to the first that is not finished; with `follow` all, as they end."""
    refuse_unknown_queries("limit", "cursor", "status", "follow")
    raw_status = query_choice("status", *ItemStatus)
    follow = query_choice("follow", "true", "false") == "true"
    media_type = request.accept_mimetypes.best_match([_JSON, _NDJSON, _CSV], _JSON)
    limit, (start, skip) = _limit(media_type), _cursor()
    if follow and media_type == _JSON:
        raise bad_query("follow", f"only a stream can follow: ask for {_NDJSON} or {_CSV}")
    job = services().store.job(job_id, owner())
    if start + skip > job.counts.total:
        raise bad_query("cursor", "it lies behind the last item")
    status = ItemStatus(raw_status) if raw_status else None
    if media_type == _JSON:
        page_items = limit or MAX_PAGE_ITEMS
        walk = Walk(services().store, job, start, skip, MAX_PAGE_ITEMS if status else page_items)
        return json_response(json_page(walk, page_items, status))
    walk = Walk(services().store, job, start, skip)
    items = Following(services().store, services().wait_hub, job, start, skip) if follow else walk
    write = ndjson_lines if media_type == _NDJSON else csv_rows
    lines = write(items, limit, status)
    return Response(stream_with_context(lines), content_type=f"{media_type}; charset=utf-8")


def _limit(media_type: str) -> int | None:
    raw = request.args.get("limit")
    if raw is None:
        return None
    highest = MAX_PAGE_ITEMS if media_type == _JSON else services().settings.max_upload_items
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= len(str(highest)) and 1 <= int(raw) <= highest):
        raise bad_query("limit", f"{raw!r} is not a number from 1 to {highest}")
    return int(raw)


def _cursor() -> tuple[int, int]:
    raw = request.args.get("cursor", "0.0")
    match = _CURSOR.fullmatch(raw)
    if not match:
        raise bad_query("cursor", f"{raw!r} is not a next_cursor of this job")
    return int(match[1]), int(match[2])
