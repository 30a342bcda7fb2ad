"""POST /predict and /predict_batch, the synchronous calls of existing clients: a job and a wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from flask import Blueprint, Response, url_for

from api.auth.caller import caller
from api.http.problems import Problem
from api.http.request import owner, read_json, request_id
from api.http.response import json_response
from api.intake.validation import accept_prediction, accept_predictions
from api.output.pauses import known_pause_view
from api.output.serializers import error_view, prediction_view
from api.routes.context import services
from api.schemas import items
from api.schemas.request_bodies import PredictBatchIn, PredictIn
from tasks.errors import StoreUnavailableError
from tasks.store.cancel import erase_job
from tasks.vocabulary.items import Item, ItemError, ItemResult
from tasks.vocabulary.jobs import Job, Terms
from tasks.vocabulary.verdicts import TooManyTokens

blueprint = Blueprint("predict", __name__)

_PAUSED_RETRY_S = 30  # an operator decides when it goes on


@blueprint.post("/predict")
def predict_one() -> Response:
    """Score one text and return its sentiment."""
    body = read_json(PredictIn, services().settings)
    (item,) = _score(accept_prediction(body, services().settings))
    if isinstance(item.outcome, ItemError | TooManyTokens):
        error = error_view(item.outcome)
        raise Problem(503, error["code"], error["message"], retry_after_s=1)
    return json_response(prediction_view(body.text, item))


@blueprint.post("/predict_batch")
def predict_batch() -> Response:
    """Score several texts and return their sentiments in the order of the texts."""
    body = read_json(PredictBatchIn, services().settings)
    scored = _score(accept_predictions(body, services().settings))
    views = [prediction_view(text, item) for text, item in zip(body.texts, scored, strict=True)]
    return json_response(items.Predictions(results=views))


def _score(texts: list[Item]) -> Sequence[ItemResult]:
    """Return the items; the job is erased once they are read, and kept where the caller gets its id."""
    wait_s, hub = services().settings.max_wait_s, services().wait_hub
    if hub.full:
        raise Problem(503, "service_full", "Too many requests wait here already.", retry_after_s=1)
    terms, since = Terms(owner=owner(), request_id=request_id(), limits=caller().limits), time.monotonic()
    with hub.hold():
        accepted = services().submission.submit(texts, terms, listed=False)
        job, page = hub.wait_or_last_known(accepted.job, wait_s, held=True, since=since)
    if job.held_up:
        raise _held_up(job)
    if not job.status.terminal:
        raise _unfinished(job.id, wait_s)
    whole = page and len(page.items) == len(texts)
    items = page.items if page and whole else services().store.results(job.id, 0, len(texts)).items
    _erase(job)
    return items


def _erase(job: Job) -> None:
    # What Redis does not erase now goes when the lifetime of results ends.
    with contextlib.suppress(StoreUnavailableError):
        erase_job(services().store, job.id, owner())


def _held_up(job: Job) -> Problem:
    """Erase a job that is paused; return the 503 that says what is. Nobody could read its verdict later."""
    position = services().backlog_cache.position(job)
    _erase(job)
    paused = known_pause_view(position.pause) if position and position.pause else None
    what = f"The {paused['kind']} {paused['name']}".rstrip() if paused else "The work of this request"
    detail = f"{what} is paused, and the request was dropped. Send it again later, or submit a job."
    return Problem(503, "paused", detail, retry_after_s=_PAUSED_RETRY_S, paused=paused)


def _unfinished(job_id: str, wait_s: float) -> Problem:
    """Return the 504 of a wait that took too long; the 503 of one that ended because this process stops."""
    continues = f"The job continues: see {url_for('jobs.get_job', job_id=job_id)}."
    if services().wait_hub.stopping:
        detail = f"The service stops, and waits for no verdict any more. {continues}"
        return Problem(503, "service_stopping", detail, job_id=job_id, retry_after_s=1)
    detail = f"No verdict within {wait_s:g} s. {continues}"
    return Problem(504, "not_finished_in_time", detail, job_id=job_id, retry_after_s=5)
