"""The app factory."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from api.auth.api_keys import ApiKeys
from api.auth.audit_log import AuditLog, request_author
from api.auth.guard import Guard
from api.auth.origins import Origins
from api.auth.rate_limit import RateLimiter
from api.http import durable_answers, error_handlers, response, traced_requests
from api.http.capacity import held_requests
from api.intake.submission import Submission
from api.output.store_collector import exposition
from api.routes import (
    audit,
    comparisons,
    deliveries,
    docs,
    events,
    job_list,
    jobs,
    keys,
    metrics,
    models,
    operator_deliveries,
    operator_jobs,
    owners,
    pauses,
    predict,
    results,
    status,
    summaries,
    usage,
    workers,
)
from api.routes.context import EXTENSION, Services
from api.waiting.backlog_cache import BacklogCache
from api.waiting.hub import WaitHub
from api.waiting.shared_reading import SharedReading
from tasks.broker.celery_app import build_publisher
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tasks.store.models import Models
from tasks.tracing import trace


class _JobId(BaseConverter):
    """URL converter for job ids; excludes `lookup`, which is a route of its own."""

    regex = "(?!lookup$)[^/]+"


def create_app(settings: Settings) -> Flask:
    """Build the app. It does not ask Redis for anything before the first request."""
    app = Flask(__name__)
    if settings.proxies:
        # Else all callers behind a proxy would share one address, and one rate.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0)  # type: ignore[method-assign]
    store = JobStore.connect(settings)
    registry = Models(store)
    api_keys = ApiKeys(store, request_author)
    guard = Guard(api_keys, RateLimiter(store, settings), settings)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        store=store,
        submission=Submission(store, build_publisher(settings), settings, registry),
        wait_hub=WaitHub(store, held_requests(settings.max_held)),
        models=registry,
        backlog_cache=BacklogCache(store, registry),
        readiness=SharedReading(store.check),
        metrics=SharedReading(lambda: exposition(store, registry)),
        guard=guard,
        api_keys=api_keys,
    )
    error_handlers.register(app)
    Origins(settings).register(app)
    guard.register(app)
    response.register(app)
    AuditLog(store).register(app)
    if settings.durable:
        # Behind the audit log, so before it when a response goes out: it records what is answered.
        durable_answers.register(app, store)
    app.url_map.converters["default"] = _JobId
    for routes in (
        *(status, models, metrics, jobs, results, summaries, comparisons, events, deliveries, job_list),
        *(usage, audit, keys, operator_jobs, operator_deliveries, owners, pauses, workers, predict, docs),
    ):
        app.register_blueprint(routes.blueprint)
    if trace.enabled():
        traced_requests.register(app)
    return app
