"""The first page, probes, backlog, models and limits."""

from __future__ import annotations

from typing import Any, cast

from flask import Blueprint, Response, render_template

from api.auth.caller import caller
from api.auth.guard import public
from api.auth.key_views import own_key_view
from api.auth.origins import any_host
from api.http.request import owner
from api.http.response import json_response
from api.output.pauses import known_pauses_view
from api.output.serializers import backlog_view
from api.routes.context import services
from api.schemas import status
from api.schemas.request_bodies import MAX_LOOKUP_IDS, MAX_METADATA_PAIRS
from tasks.settings import MAX_DEADLINE_S, MAX_TTL_S, MIN_TTL_S
from tasks.store.backlog import read_backlogs
from tasks.store.pauses import read_pauses
from tasks.store.workers import live_models, live_workers
from tasks.vocabulary.jobs import QueueClass
from tasks.vocabulary.options import (
    MAX_ASPECT_CHARS,
    MAX_ASPECTS,
    MAX_CLAUSES,
    MAX_SENTENCES,
    PLAIN,
    OnLongText,
    Probabilities,
)

blueprint = Blueprint("status", __name__)

_LIMIT_SETTINGS = (
    *("max_text_chars", "max_items", "max_body_bytes", "max_upload_items", "max_upload_bytes"),
    *("max_line_bytes", "max_wait_s", "interactive_items", "interactive_chars", "result_ttl_s"),
    *("deadline_interactive_s", "deadline_bulk_s", "target_wait_interactive_s", "target_wait_bulk_s"),
    *("rate_per_s", "rate_burst", "quota_items", "quota_bytes"),
)
_FIXED_LIMITS = {
    "max_deadline_s": MAX_DEADLINE_S,
    "min_result_ttl_s": MIN_TTL_S,
    "max_result_ttl_s": MAX_TTL_S,
    "max_metadata_pairs": MAX_METADATA_PAIRS,
    "max_lookup_ids": MAX_LOOKUP_IDS,
    "max_sentences": MAX_SENTENCES,
    "max_clauses": MAX_CLAUSES,
    "max_aspects": MAX_ASPECTS,
    "max_aspect_chars": MAX_ASPECT_CHARS,
}
_VALUES: dict[str, list[Any]] = {
    "on_long_text": [*OnLongText],
    "sentences": [False, True],
    "explain": [False, True],
    "probabilities": [*Probabilities],
}


@blueprint.get("/")
@public
def show_page() -> Response:
    """Serve the page that scores texts in a browser."""
    return Response(render_template("index.html"))


@blueprint.get("/livez")
@public
@any_host
def livez() -> Response:
    """Check that this process answers."""
    return json_response(status.State(status="alive"))


@blueprint.get("/readyz")
@public
@any_host
def readyz() -> Response:
    """Check that Redis accepts writes. Workers do not matter: jobs can be polled without them."""
    services().readiness.get()
    return json_response(status.State(status="ready"))


@blueprint.get("/v1/queue")
def get_queue() -> Response:
    """Get the backlog of each class, its drain rate, and whether more is accepted."""
    store = services().store
    workers = live_workers(store)
    children = sum(worker.children for worker in workers)
    backlogs = read_backlogs(store, services().models.names, owner())
    classes = {
        name: backlog_view(*(each for queue, each in backlogs.items() if queue.queue_class is name))
        for name in QueueClass
    }
    paused = known_pauses_view(read_pauses(store), owner())
    return json_response(
        status.Queues(classes=classes, workers={"alive": len(workers), "children": children}, paused=paused)
    )


@blueprint.get("/v1/info")
def get_info() -> Response:
    """Get the models in use, the limits of the service and of the key, and the options of a job."""
    settings, key = services().settings, caller().key
    models = cast("list[status.ServedModel]", live_models(services().store))
    return json_response(
        status.Info(
            service="sentiq",
            model=models[0] if models else None,
            models=models,
            limits={name: getattr(settings, name) for name in _LIMIT_SETTINGS} | _FIXED_LIMITS,
            options={
                name: {"values": values, "default": getattr(PLAIN, name)} for name, values in _VALUES.items()
            },
            key=own_key_view(key, settings) if key else None,
        )
    )
