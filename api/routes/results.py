"""GET /v1/jobs/{id}/results: pages of JSON, or one stream of lines or of CSV rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from flask import Blueprint, Response, request, stream_with_context
from werkzeug.datastructures import MIMEAccept

from api.http.compression import accepts_gzip, gzipped, packed
from api.http.problems import bad_query
from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.columns import Cell, UnknownColumnError, chosen_columns, columns_of
from api.output.formats import csv_rows, json_page, ndjson_lines
from api.output.readers import Batches, Excerpt, Following, ItemReader, Walk
from api.routes.context import services
from api.schemas.queries import MAX_PAGE_ITEMS, ResultsQuery, ResultsStreamQuery
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("results", __name__)

_JSON, _NDJSON, _CSV = "application/json", "application/x-ndjson", "text/csv"
_BOM = "\ufeff".encode()
_OF_CSV = ("bom", "safe", "columns")


@blueprint.get("/v1/jobs/<job_id>/results")
def get_results(job_id: str) -> Response:
    """Get results in input order up to the first unfinished item, or with `follow` as they finish."""
    media_type = _accepted_type()
    query = read_query(ResultsQuery if media_type == _JSON else ResultsStreamQuery)
    if query.follow and media_type == _JSON:
        raise bad_query("follow", f"only a stream can follow: ask for {_NDJSON} or {_CSV}")
    if media_type != _CSV and (given := next((name for name in _OF_CSV if getattr(query, name)), None)):
        raise bad_query(given, f"it is for {_CSV} only")
    job = services().store.job(job_id, owner())
    if sum(query.position) > job.counts.total:
        raise bad_query("cursor", "it is behind the last item of this job")
    return _page(job, query) if media_type == _JSON else _stream(job, query, media_type)


def _accepted_type() -> str:
    """Return the format that the caller prefers. Parameters such as `charset` make no difference."""
    ranges = [(media.partition(";")[0].strip(), quality) for media, quality in request.accept_mimetypes]
    return MIMEAccept(ranges).best_match([_JSON, _NDJSON, _CSV], _JSON)


def _page(job: Job, query: ResultsQuery) -> Response:
    limit = query.limit or MAX_PAGE_ITEMS
    # Where most items do not match, a batch is not limited to those asked for.
    batches = Batches.of_page(MAX_PAGE_ITEMS if query.status else limit)
    walk = Walk(services().store, job, *query.position, batches)
    page, headers = packed(json_page(walk, limit, query.status))
    return json_response(services().guard.counted(page), headers=headers)


def _stream(job: Job, query: ResultsQuery, media_type: str) -> Response:
    services().guard.count_stream()
    columns = _columns(job, query)
    items, headers = _reader(job, query)
    if media_type == _NDJSON:
        lines: Iterator[bytes] = ndjson_lines(items, query.limit, query.status)
    else:
        rows = csv_rows(items, query.limit, query.status, columns, safe=query.safe)
        lines = chain([_BOM] if query.bom else [], rows)
        headers["Content-Disposition"] = f'attachment; filename="{job.id}.csv"'
    if accepts_gzip():
        # A follower waits for each item, so none may wait for the next.
        lines = gzipped(lines, at_once=query.follow)
        headers["Content-Encoding"] = "gzip"
    content_type = f"{media_type}; charset=utf-8"
    response = Response(stream_with_context(lines), headers=headers, content_type=content_type)
    response.vary.add("Accept-Encoding")
    return response


def _columns(job: Job, query: ResultsQuery) -> Mapping[str, Cell]:
    if query.columns is None:
        return columns_of(job)
    try:
        return chosen_columns(job, query.columns, services().store.labels.ids)
    except UnknownColumnError as error:
        raise bad_query("columns", str(error)) from None


def _reader(job: Job, query: ResultsQuery) -> tuple[ItemReader, dict[str, str]]:
    """Return the items, and the headers that say whether these are all; a follower has none."""
    if query.follow:
        return Following(services().store, services().wait_hub, job, *query.position), {}
    walk = Walk(services().store, job, *query.position)
    if query.limit:
        excerpt = Excerpt(walk, query.limit, query.status)
        return excerpt, _completeness(excerpt.cursor)
    return walk, _completeness(walk.bound())


def _completeness(cursor: str | None) -> dict[str, str]:
    return {"X-Complete": "true"} if cursor is None else {"X-Complete": "false", "X-Next-Cursor": cursor}
