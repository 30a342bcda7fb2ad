"""The span of each HTTP request, where tracing is on: from its head until its response is sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask, Response, request
from werkzeug.wsgi import ClosingIterator

from tasks.tracing import trace

# Probes and scrapes would be most of the traces.
_UNTRACED = ("/livez", "/readyz", "/metrics")
_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")


def register(app: Flask) -> None:
    """Trace the requests of an app. Call it behind all else that wraps the app, if tracing is on."""
    handle = app.wsgi_app

    def traced(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] in _UNTRACED:
            return handle(environ, start_response)
        span = trace.request(environ.get("HTTP_TRACEPARENT", ""))
        try:
            response = handle(environ, start_response)
        except BaseException as error:
            span.__exit__(type(error), error, None)
            raise
        return ClosingIterator(response, span.end)

    app.wsgi_app = traced  # type: ignore[method-assign]
    app.after_request(_describe)


def _describe(response: Response) -> Response:
    """Say what was asked, by the rule of its path: neither path nor query, which hold what callers chose."""
    span = trace.current()
    method = request.method if request.method in _METHODS else "_OTHER"
    span.set(method=method, status_code=response.status_code)
    if request.url_rule:
        span.set(route=request.url_rule.rule)
    span.name(f"{method} {request.url_rule.rule}" if request.url_rule else method)
    return response
