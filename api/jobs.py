"""/v1/jobs: submit, poll, read results."""

from __future__ import annotations

import math
import re
from typing import Any

from flask import Blueprint, Response, request, url_for

from api.intake import accept_job
from api.problems import bad_query
from api.replies import query_choice, read_json, refuse_unknown_queries, reply
from api.requests import JobIn, preferred_wait
from api.services import services
from api.views import item_view, job_view
from tasks.jobs import Job

jobs = Blueprint("jobs", __name__)

INCLUDED_RESULTS = 100
PAGE_ITEMS = 1000
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")


@jobs.post("/v1/jobs")
def create() -> Response:
    """Accept one text or several items; 202, or 200 when over within `Prefer: wait`."""
    refuse_unknown_queries("strict")
    strict = query_choice("strict", "true", "false") == "true"
    body = read_json(JobIn)
    items = accept_job(body, services().settings, strict=strict)
    job = services().submission.submit(items, body.options)
    wait_s = preferred_wait(services().settings.max_wait_s)
    if wait_s is not None:
        job = services().waiters.follow(job, wait_s)
    location = {"Location": url_for("jobs.read", job_id=job.id)}
    done = job.status.terminal
    return _job_reply(job, 200 if done else 202, wait_s, location, results=done)


@jobs.get("/v1/jobs/<job_id>")
def read(job_id: str) -> Response:
    """Return the job whatever its fate; `Prefer: wait` holds the answer until it is over."""
    refuse_unknown_queries("include")
    results = query_choice("include", "results") is not None
    wait_s = preferred_wait(services().settings.max_wait_s)
    job = services().waiters.wait(job_id, wait_s) if wait_s else services().ledger.job(job_id)
    return _job_reply(job, 200, wait_s, {}, results=results)


@jobs.get("/v1/jobs/<job_id>/results")
def results(job_id: str) -> Response:
    """Return a page of items in input order, up to the first that is not finished."""
    refuse_unknown_queries("limit", "cursor")
    limit = _limit()
    start, skip = _cursor()
    job = services().ledger.job(job_id)
    if start + skip > job.counts.total:
        raise bad_query("cursor", "it lies behind the last item")
    items, next_cursor = _page(job, start, skip, limit)
    body = {
        "object": "list",
        "job_id": job_id,
        "status": job.status,
        "data": items,
        "complete": next_cursor is None,
        "next_cursor": next_cursor,
    }
    return reply(body)


def _page(job: Job, start: int, skip: int, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """Return items from the `skip`th of the chunk at `start`, and the cursor of what follows, if any."""
    page = services().ledger.results(job.id, start, skip + limit)
    items = page.items[skip : skip + limit]
    next_index = start + skip + len(items)
    chunk = page.chunk_of(next_index)
    cursor = f"{chunk}.{next_index - chunk}" if next_index < job.counts.total else None
    return [item_view(item) for item in items], cursor


def _job_reply(
    job: Job, status: int, wait_s: float | None, headers: dict[str, str], *, results: bool
) -> Response:
    body = job_view(job)
    if results:
        body["results"], body["results_next_cursor"] = _page(job, 0, 0, INCLUDED_RESULTS)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    if not job.status.terminal:
        headers["Retry-After"] = str(math.ceil(body["poll_after_ms"] / 1000))
    return reply(body, status, headers)


def _limit() -> int:
    raw = request.args.get("limit", str(PAGE_ITEMS))
    if not (raw.isascii() and raw.isdecimal() and 1 <= int(raw) <= PAGE_ITEMS):
        raise bad_query("limit", f"{raw!r} is not a number from 1 to {PAGE_ITEMS}")
    return int(raw)


def _cursor() -> tuple[int, int]:
    raw = request.args.get("cursor", "0.0")
    match = _CURSOR.fullmatch(raw)
    if not match:
        raise bad_query("cursor", f"{raw!r} is not a next_cursor of this job")
    return int(match[1]), int(match[2])
