"""GET /v1/jobs/{id}/results: pages of JSON, or one stream of lines or of CSV rows."""

from __future__ import annotations

from flask import Blueprint, Response, request, stream_with_context

from api.http.problems import bad_query
from api.http.request import owner, read_query
from api.http.response import json_response
from api.output.formats import csv_rows, json_page, ndjson_lines
from api.output.readers import Following, ItemReader, Walk
from api.routes.context import services
from api.schemas.queries import MAX_PAGE_ITEMS, ResultsQuery, ResultsStreamQuery
from tasks.vocabulary.jobs import Job

blueprint = Blueprint("results", __name__)

_JSON, _NDJSON, _CSV = "application/json", "application/x-ndjson", "text/csv"


@blueprint.get("/v1/jobs/<job_id>/results")
def get_results(job_id: str) -> Response:
    """Get results in input order up to the first unfinished item, or with `follow` as they finish."""
    media_type = request.accept_mimetypes.best_match([_JSON, _NDJSON, _CSV], _JSON)
    query = read_query(ResultsQuery if media_type == _JSON else ResultsStreamQuery, services().settings)
    if query.follow and media_type == _JSON:
        raise bad_query("follow", f"only a stream can follow: ask for {_NDJSON} or {_CSV}")
    job = services().store.job(job_id, owner())
    if sum(query.position) > job.counts.total:
        raise bad_query("cursor", "it is behind the last item of this job")
    return _page(job, query) if media_type == _JSON else _stream(job, query, media_type)


def _page(job: Job, query: ResultsQuery) -> Response:
    limit = query.limit or MAX_PAGE_ITEMS
    # Where most items do not match, a batch is not limited to those asked for.
    walk = Walk(services().store, job, *query.position, MAX_PAGE_ITEMS if query.status else limit)
    return json_response(json_page(walk, limit, query.status))


def _stream(job: Job, query: ResultsQuery, media_type: str) -> Response:
    items: ItemReader
    if query.follow:
        items = Following(services().store, services().wait_hub, job, *query.position)
    else:
        items = Walk(services().store, job, *query.position)
    write = ndjson_lines if media_type == _NDJSON else csv_rows
    lines = write(items, query.limit, query.status)
    return Response(stream_with_context(lines), content_type=f"{media_type}; charset=utf-8")
