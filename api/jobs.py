"""/v1/jobs: submit, poll, read results."""

from __future__ import annotations

import math
import re

from flask import Blueprint, Response, request, url_for

from api.intake import accept_job
from api.problems import Problem, invalid
from api.replies import read_json, reply
from api.requests import JobIn, preferred_wait
from api.services import services
from api.views import item_view, job_view
from tasks.jobs import Job

jobs = Blueprint("jobs", __name__)

INCLUDED_RESULTS = 100
PAGE_ITEMS = 1000
_CURSOR = re.compile(r"(\d{1,9})\.(\d{1,9})")


@jobs.post("/v1/jobs")
def create() -> Response:
    """Accept one text or several items; 202, or 200 when over within `Prefer: wait`."""
    items = accept_job(read_json(JobIn), services().settings, strict=request.args.get("strict") == "true")
    job_id = services().submission.submit(items)
    wait_s = preferred_wait(services().settings.max_wait_s)
    job = services().waiters.wait(job_id, wait_s) if wait_s else services().ledger.job(job_id)
    location = {"Location": url_for("jobs.read", job_id=job_id)}
    if wait_s and job.status.terminal:
        return _job_reply(job, 200, wait_s, location, results=True)
    return _job_reply(job, 202, wait_s, location)


@jobs.get("/v1/jobs/<job_id>")
def read(job_id: str) -> Response:
    """Return the job whatever its fate; `Prefer: wait` holds the answer until it is over."""
    wait_s = preferred_wait(services().settings.max_wait_s)
    job = services().waiters.wait(job_id, wait_s) if wait_s else services().ledger.job(job_id)
    return _job_reply(job, 200, wait_s, {}, results=request.args.get("include") == "results")


@jobs.get("/v1/jobs/<job_id>/results")
def results(job_id: str) -> Response:
    """Return a page of items in input order, up to the first that is not finished."""
    limit = _limit()
    start, skip = _cursor()
    job = services().ledger.job(job_id)
    page = services().ledger.results(job_id, start, skip + limit)
    items = page.items[skip : skip + limit]
    next_index = start + skip + len(items)
    complete = next_index >= job.counts.total
    chunk = page.chunk_of(next_index)
    body = {
        "object": "list",
        "job_id": job_id,
        "status": job.status,
        "data": [item_view(item) for item in items],
        "complete": complete,
        "next_cursor": None if complete else f"{chunk}.{next_index - chunk}",
    }
    return reply(body)


def _job_reply(
    job: Job, status: int, wait_s: float | None, headers: dict[str, str], *, results: bool = False
) -> Response:
    body = job_view(job)
    if results:
        page = services().ledger.results(job.id, 0, INCLUDED_RESULTS)
        body["results"] = [item_view(item) for item in page.items[:INCLUDED_RESULTS]]
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    if not job.status.terminal:
        headers["Retry-After"] = str(math.ceil(body["poll_after_ms"] / 1000))
    return reply(body, status, headers)


def _limit() -> int:
    raw = request.args.get("limit", str(PAGE_ITEMS))
    if not raw.isdecimal() or not 1 <= int(raw) <= PAGE_ITEMS:
        raise _bad_query("limit", f"{raw!r} is not a number from 1 to {PAGE_ITEMS}")
    return int(raw)


def _cursor() -> tuple[int, int]:
    raw = request.args.get("cursor", "0.0")
    match = _CURSOR.fullmatch(raw)
    if not match:
        raise _bad_query("cursor", f"{raw!r} is not a next_cursor of this job")
    return int(match[1]), int(match[2])


def _bad_query(name: str, detail: str) -> Problem:
    return invalid([{"pointer": f"?{name}", "code": "invalid_value", "detail": detail}])
