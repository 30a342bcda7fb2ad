"""Writing responses: JSON bodies, and the headers of every response."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from pydantic_core import to_json

from api.http.request import request_id

_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "same-origin",  # `no-referrer` would also hide the origin of the page's own requests
    "Cross-Origin-Resource-Policy": "same-origin",
}


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a JSON body in UTF-8."""
    return Response(to_json(body), status, headers, content_type="application/json")


def register(app: Flask) -> None:
    """Add the common headers to every response of the app."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers.update(_SECURITY)
    policy = _PAGE_POLICY if response.mimetype == "text/html" else _DATA_POLICY
    response.headers["Content-Security-Policy"] = policy
    # Jobs, their results and problems belong to one caller. Files in static/ have their own rule.
    response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code == HTTPStatus.NO_CONTENT:
        del response.headers["Content-Type"]
    return response
