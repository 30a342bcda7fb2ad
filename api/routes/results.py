"""GET /v1/jobs/{id}/results: pages of JSON, or one stream of lines or of CSV rows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Blueprint, Response, request, stream_with_context

from api.http.problems import bad_query
from api.http.request import owner, query_choice, refuse_unknown_queries
from api.http.response import reply
from api.output.readers import Following, Walk, csv_rows, ndjson_lines
from api.output.serializers import item_view
from api.routes.context import services
from api.schemas import jobs
from tasks.vocabulary.items import ItemResult, ItemStatus
from tasks.vocabulary.jobs import Job

results = Blueprint("results", __name__)

PAGE_ITEMS = 1000
# A page of a filter that matches little ends after so many items.
_MOST_READ = 20_000
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_JSON, _NDJSON, _CSV = "application/json", "application/x-ndjson", "text/csv"


@results.get("/v1/jobs/<job_id>/results")
def read(job_id: str) -> Response:
    """Return items in input order up to the first that is not finished; with `follow` all, as they end."""
    refuse_unknown_queries("limit", "cursor", "status", "follow")
    status = query_choice("status", *ItemStatus)
    follow = query_choice("follow", "true", "false") == "true"
    form = request.accept_mimetypes.best_match([_JSON, _NDJSON, _CSV], _JSON)
    limit, (start, skip) = _limit(form), _cursor()
    if follow and form == _JSON:
        raise bad_query("follow", f"only a stream can follow: ask for {_NDJSON} or {_CSV}")
    job = services().store.job(job_id, owner())
    if start + skip > job.counts.total:
        raise bad_query("cursor", "it lies behind the last item")
    wanted = ItemStatus(status) if status else None
    if form == _JSON:
        most = limit or PAGE_ITEMS
        walk = Walk(services().store, job, start, skip, PAGE_ITEMS if wanted else most)
        return reply(page_view(job, walk, most, wanted))
    walk = Walk(services().store, job, start, skip)
    items = Following(services().store, services().waiters, job, start, skip) if follow else walk
    write = ndjson_lines if form == _NDJSON else csv_rows
    lines: Iterator[bytes] = write(items, limit, wanted)
    return Response(stream_with_context(lines), content_type=f"{form}; charset=utf-8")


def page_view(job: Job, walk: Walk, limit: int, status: ItemStatus | None = None) -> jobs.ResultsPage:
    """Return up to `limit` items of a walk, and the cursor of what follows."""
    found: list[ItemResult] = []
    for number, item in enumerate(walk, 1):
        if status in (None, item.status):
            found.append(item)
        if len(found) == limit or number == _MOST_READ:
            break
    return {
        "object": "list",
        "job_id": job.id,
        "status": job.status,
        "data": [item_view(item) for item in found],
        "complete": walk.cursor is None,
        "next_cursor": walk.cursor,
    }


def _limit(form: str) -> int | None:
    raw = request.args.get("limit")
    if raw is None:
        return None
    most = PAGE_ITEMS if form == _JSON else services().settings.max_upload_items
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= len(str(most)) and 1 <= int(raw) <= most):
        raise bad_query("limit", f"{raw!r} is not a number from 1 to {most}")
    return int(raw)


def _cursor() -> tuple[int, int]:
    raw = request.args.get("cursor", "0.0")
    match = _CURSOR.fullmatch(raw)
    if not match:
        raise bad_query("cursor", f"{raw!r} is not a next_cursor of this job")
    return int(match[1]), int(match[2])
