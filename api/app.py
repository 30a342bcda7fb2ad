"""The app factory."""

from __future__ import annotations

from http import HTTPStatus

from flask import Flask, Response
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from api import access, problems
from api.deliveries import deliveries
from api.events import events
from api.jobs import jobs
from api.keyring import Keyring
from api.listing import listing
from api.metrics import metrics
from api.openapi.views import openapi
from api.predict import predict
from api.queues import Queues
from api.rates import Rates
from api.requests import request_id
from api.results import results
from api.service import service
from api.services import EXTENSION, Services
from api.submission import Submission
from api.waiting import Waiters
from tasks.broker.celery_app import build_publisher
from tasks.settings import Settings
from tasks.store.jobs import Ledger


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
    ledger = Ledger.connect(settings)
    submission = Submission(ledger, build_publisher(settings), settings)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        ledger=ledger,
        submission=submission,
        waiters=Waiters(ledger),
        keyring=Keyring(ledger),
        rates=Rates(ledger, settings),
        queues=Queues(ledger),
    )
    problems.register(app)
    access.register(app)
    app.after_request(_mark)
    app.url_map.converters["default"] = _JobId
    for blueprint in (service, metrics, jobs, results, events, deliveries, listing, predict, openapi):
        app.register_blueprint(blueprint)
    return app


def _mark(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code == HTTPStatus.NO_CONTENT:
        del response.headers["Content-Type"]
    return response
