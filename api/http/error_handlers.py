"""Turns every error of the app into a problem document."""

from __future__ import annotations

import logging
from http import HTTPStatus

from flask import Flask, Response, g, request
from pydantic import ValidationError
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from api.http.problems import TITLES, Problem, from_error, from_validation
from api.http.request import request_id
from api.waiting.turns import turns
from tasks.errors import RefusedError, SentiqError, StoreUnavailableError
from tasks.tracing import trace

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Install the error handlers."""
    app.register_error_handler(Problem, _render)
    app.register_error_handler(SentiqError, render_error)
    app.register_error_handler(ValidationError, lambda error: _render(from_validation(error)))
    app.register_error_handler(HTTPException, _render_http)
    app.register_error_handler(Exception, _render_unexpected)


def _render(problem: Problem) -> Response:
    """Return the problem as a response; its member `retry_after_s` also becomes the header."""
    body = {
        "type": f"urn:sentiq:problem:{problem.code}",
        "title": TITLES.get(problem.status, "The request failed"),
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.script_root + request.path,
        "code": problem.code,
        "request_id": request_id(),
        **problem.extensions,
    }
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        trace.current().fail(problem.code)
    else:
        trace.current().set(error=problem.code)
    logger.info(
        "%s %s: %d %s (request %s)", request.method, request.path, problem.status, problem.code, request_id()
    )
    g.problem_code = problem.code
    response = Response(
        to_json(body), problem.status, problem.headers, content_type="application/problem+json"
    )
    if "retry_after_s" in problem.extensions:
        response.headers["Retry-After"] = str(problem.extensions["retry_after_s"])
    return response


def render_error(error: SentiqError) -> Response:
    """Return an error of the service as a response."""
    if isinstance(error, StoreUnavailableError):
        turns.let_all_go_on()
    problem = from_error(error)
    if problem.status >= 500 and not isinstance(error, RefusedError):  # noqa: PLR2004  a fault of ours
        logger.error("%s: %s (request %s)", error.code, error, request_id())
    return _render(problem)


def _render_http(error: HTTPException) -> Response:
    code = error.name.lower().replace(" ", "_")
    response = _render(Problem(error.code or 500, code, error.description or error.name))
    if isinstance(error, MethodNotAllowed):
        response.headers.extend(dict(error.get_headers()[1:]))
    return response


def _render_unexpected(error: Exception) -> Response:
    logger.error("unexpected error (request %s)", request_id(), exc_info=error)
    return _render(Problem(500, "internal_error", "Something went wrong inside the service."))
