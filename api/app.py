"""The app factory."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from api.auth import guard as access
from api.auth.api_keys import ApiKeys
from api.auth.rate_limit import Rates
from api.http import problems
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
from api.schemas.request_bodies import request_id
from api.waiting.backlog_cache import Queues
from api.waiting.hub import Waiters
from tasks.broker.celery_app import build_publisher
from tasks.settings import Settings
from tasks.store.jobs import JobStore


class _JobId(BaseConverter):
    """What a path names a job by; `lookup` is a call of its own, and no job."""

    regex = "(?!lookup$)[^/]+"


def create_app(settings: Settings) -> Flask:
    """Build the app; Redis is not asked for anything before the first request."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    if settings.proxies:
        # Else all that come through a proxy would share one address, and one rate.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0)  # type: ignore[method-assign]
    store = JobStore.connect(settings)
    submission = Submission(store, build_publisher(settings), settings)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        store=store,
        submission=submission,
        waiters=Waiters(store),
        api_keys=ApiKeys(store),
        rates=Rates(store, settings),
        queues=Queues(store),
    )
    problems.register(app)
    access.register(app)
    app.after_request(_mark)
    app.url_map.converters["default"] = _JobId
    for blueprint in (service, metrics, jobs, results, events, deliveries, job_list, predict, openapi):
        app.register_blueprint(blueprint)
    return app


def _mark(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code == HTTPStatus.NO_CONTENT:
        del response.headers["Content-Type"]
    return response
