"""/v1/jobs: submit, poll, cancel, retry, delete."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from flask import Blueprint, Response, g, request, url_for
from pydantic_core import to_json

from api.auth.caller import caller
from api.auth.guard import requires
from api.auth.scopes import Scope
from api.http.body import ROW_DELIMITERS, content_encoding, require_utf8, row_layout, upload_stream
from api.http.problems import Problem, bad_query
from api.http.request import (
    JSON,
    idempotency_key,
    owner,
    preferred_wait,
    read_job,
    read_query,
    request_id,
)
from api.http.response import json_response
from api.intake.accepted import Accepted, whose
from api.intake.ndjson import MEDIA_TYPES
from api.intake.streams import Source
from api.intake.upload import Upload
from api.intake.validation import accept_job, accept_terms
from api.output.readers import Batches, Walk, read_ahead
from api.output.serializers import item_json, job_view, json_blocks
from api.routes.context import services
from api.schemas.jobs import Job as JobBody
from api.schemas.queries import JobQuery, NoQuery, SubmitQuery, UploadQuery
from api.schemas.request_bodies import JobIn
from tasks.errors import JobNotFinishedError, StoreUnavailableError
from tasks.store import cancel
from tasks.store.audit import Author
from tasks.store.idempotency import digest
from tasks.store.jobs import JobStore, Page
from tasks.store.retry import retry_terms, retryable_items
from tasks.vocabulary.jobs import Job

logger = logging.getLogger(__name__)
blueprint = Blueprint("jobs", __name__)

MAX_INCLUDED_ITEMS = 100
_ACCEPTED_TYPES = (
    f"Send one document as {JSON}, lines as {' or '.join(MEDIA_TYPES[:3])}, or rows as "
    f"{' or '.join(ROW_DELIMITERS)}, plain or gzip. Forms and plain text are not read."
)
# A cancel works for that long, then answers `canceling` and goes on in the background.
_MAX_CANCEL_S = 1.0


@blueprint.post("/v1/jobs")
def create_job() -> Response:
    """Submit texts as a job. `Prefer: wait=N` returns the results if the job finishes in time."""
    since = time.monotonic()
    if request.mimetype in (*MEDIA_TYPES, *ROW_DELIMITERS):
        return _accepted_response(_accept_upload(), since)
    if request.mimetype != JSON:
        raise Problem(415, "unsupported_media_type", _ACCEPTED_TYPES)
    return _accepted_response(_accept_document(), since)


@blueprint.get("/v1/jobs/<job_id>")
def get_job(job_id: str) -> Response:
    """Get a job. `Prefer: wait=N` holds the response until the job finishes."""
    query = read_query(JobQuery)
    job, wait_s, page = _job(job_id), _granted_wait(), None
    if wait_s:
        job, page = services().wait_hub.wait(job, wait_s)
    return _job_response(job, 200, wait_s, {}, results=query.include is not None, page=page)


@blueprint.post("/v1/jobs/<job_id>/cancel")
@requires(Scope.CANCEL)
def cancel_job(job_id: str) -> Response:
    """Cancel a job and its shadow. Finished items keep their results; a finished job stays as it is."""
    read_query(NoQuery)
    job, canceled = _job(job_id), False
    if not job.status.terminal:
        canceled = cancel.cancel_job(services().store, job_id, _MAX_CANCEL_S)
        _log("canceled", job_id)
        job = _job(job_id)
    if canceled and not job.status.terminal:
        threading.Thread(target=_finish_canceling, args=(services().store, job_id), daemon=True).start()
    if job.shadow:
        cancel.cancel_job(services().store, job.shadow)
    return _job_response(job, 202 if canceled else 200, None, {}, results=False)


@blueprint.post("/v1/jobs/<job_id>/retry")
def retry_job(job_id: str) -> Response:
    """Submit the failed items of a finished job, as far as a retry could help, as a new job."""
    since = time.monotonic()
    read_query(NoQuery)
    key, job = idempotency_key(), _job(job_id)
    if not job.status.terminal:
        raise JobNotFinishedError(job_id)
    items = retryable_items(services().store, job)
    terms = replace(retry_terms(job), request_id=request_id(), limits=caller().limits)
    source = Source(items, digest(f"retry {job_id}".encode()))
    return _accepted_response(services().submission.submit_stream(source, terms, key), since)


@blueprint.delete("/v1/jobs/<job_id>")
def delete_job(job_id: str) -> Response:
    """Delete a job with its texts, its results and its shadow."""
    read_query(NoQuery)
    cancel.delete_job(services().store, job_id, _job(job_id).terms.owner)
    _log("deleted", job_id)
    return Response(status=204)


def _log(action: str, job_id: str) -> None:
    logger.info("%s %s (%s, request %s)", action, job_id, whose(owner()), request_id())


def _finish_canceling(store: JobStore, job_id: str) -> None:
    """Cancel the rest of a large job. Should Redis fail, a reconciler does it later."""
    with contextlib.suppress(StoreUnavailableError):
        cancel.cancel_job(store, job_id)


def _accept_document() -> Accepted:
    strict, (body, data) = read_query(SubmitQuery).strict, read_job(services().settings)
    items = accept_job(body, data, services().settings, strict=strict)
    terms = accept_terms(body, owner(), request_id(), services().settings)
    terms = replace(terms, limits=caller().limits)
    key = idempotency_key(lambda: _canonical(body, data, strict=strict))
    author = Author(caller().owner, caller().address)
    accepted = services().submission.submit(items, terms, key, strict=strict, author=author)
    g.audited = not accepted.replayed
    return accepted


def _canonical(body: JobIn, data: Mapping[int, bytes], *, strict: bool) -> bytes:
    """Return the body in a canonical form, so that equal requests have equal hashes."""
    given = {str(index): each.decode() for index, each in data.items()}
    return json.dumps([body.model_dump(mode="json"), given, strict], sort_keys=True).encode()


def _accept_upload() -> Accepted:
    settings, query, layout = services().settings, read_query(UploadQuery), row_layout()
    if layout is None:
        require_utf8()
    if layout is None and query.text_column is not None:
        raise bad_query("text_column", f"only {' and '.join(ROW_DELIMITERS)} have columns")
    key = idempotency_key()
    if query.from_index is not None and key is None:
        raise bad_query("from_index", "it resumes the upload of an Idempotency-Key, and none is given")
    terms = accept_terms(query, owner(), request_id(), settings, "?webhook.url")
    with services().guard.upload():
        upload = Upload(upload_stream(settings), content_encoding(), query, settings, layout)
        terms = replace(terms, columns=upload.columns, limits=caller().limits)
        return services().submission.submit_stream(upload.source(), terms, key)


def _accepted_response(accepted: Accepted, since: float) -> Response:
    """Return the response to a request that came at a time of the monotonic clock."""
    job, wait_s, page = accepted.job, _granted_wait(), None
    if wait_s is not None:
        # A job that an earlier request made may have changed before this one came.
        made = -math.inf if accepted.replayed else since
        job, page = services().wait_hub.wait_or_last_known(job, wait_s, since=made)
    headers = {"Location": url_for("jobs.get_job", job_id=job.id)}
    if accepted.replayed:
        headers["Idempotent-Replayed"] = "true"
    done = wait_s is not None and job.status.terminal
    return _job_response(job, 200 if done else 202, wait_s, headers, results=done, page=page)


def _job(job_id: str) -> Job:
    return services().store.job(job_id, owner())


def _granted_wait() -> float | None:
    wait_s = preferred_wait(services().settings.max_wait_s)
    return 0.0 if wait_s and services().wait_hub.full else wait_s


def _job_response(  # noqa: PLR0913  a response has each of them
    job: Job,
    status: int,
    wait_s: float | None,
    headers: dict[str, str],
    *,
    results: bool,
    page: Page | None = None,
) -> Response:
    view = job_view(job, services().backlog_cache.position(job))
    blocks = _with_results(view, job, page) if results else [to_json(view)]
    # What is done cannot be refused any more.
    body = services().guard.counted(blocks) if request.method == "GET" else list(blocks)
    if wait_s is not None:
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    if not job.status.terminal:
        headers["Retry-After"] = str(math.ceil((view["poll_after_ms"] or 0) / 1000))
    return json_response(body, status, headers)


def _with_results(view: JobBody, job: Job, page: Page | None) -> Iterator[bytes]:
    walk = Walk(services().store, job, 0, 0, Batches.of_page(MAX_INCLUDED_ITEMS), page=page)
    items = map(item_json, read_ahead(walk, MAX_INCLUDED_ITEMS))
    return json_blocks(view, "results", items, lambda: {"results_next_cursor": walk.cursor})
