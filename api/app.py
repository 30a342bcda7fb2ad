"""The app factory."""

from __future__ import annotations

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from api.auth.api_keys import ApiKeys
from api.auth.guard import Guard
from api.auth.rate_limit import RateLimiter
from api.http import error_handlers, response
from api.intake.submission import Submission
from api.routes.context import EXTENSION, Services
from api.routes.deliveries import deliveries
from api.routes.docs import openapi
from api.routes.events import events
from api.routes.job_list import job_list
from api.routes.jobs import jobs
from api.routes.metrics import metrics
from api.routes.predict import predict
from api.routes.results import results
from api.routes.status import service
from api.waiting.backlog_cache import Queues
from api.waiting.hub import Waiters
from tasks.broker.celery_app import build_publisher
from tasks.settings import Settings
from tasks.store.jobs import JobStore


class _JobId(BaseConverter):
    """URL converter for job ids; excludes `lookup`, which is a route of its own."""

    regex = "(?!lookup$)[^/]+"


def create_app(settings: Settings) -> Flask:
    """Build the app. It does not ask Redis for anything before the first request."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    if settings.proxies:
        # Else all callers behind a proxy would share one address, and one rate.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0)  # type: ignore[method-assign]
    store = JobStore.connect(settings)
    guard = Guard(ApiKeys(store), RateLimiter(store, settings), settings)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        store=store,
        submission=Submission(store, build_publisher(settings), settings),
        waiters=Waiters(store),
        queues=Queues(store),
        guard=guard,
    )
    error_handlers.register(app)
    guard.register(app)
    response.register(app)
    app.url_map.converters["default"] = _JobId
    for blueprint in (service, metrics, jobs, results, events, deliveries, job_list, predict, openapi):
        app.register_blueprint(blueprint)
    return app
