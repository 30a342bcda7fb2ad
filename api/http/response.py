"""Writing responses: JSON bodies, and the headers of every response."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from pydantic_core import to_json

from api.http.common_headers import CACHING, DATA_POLICY, SECURITY
from api.http.request import request_id

_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
# A web worker is held to the policy of its own script; it reads results and imports modules.
_SCRIPT_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors 'none'"
_POLICIES = {"text/html": _PAGE_POLICY, "text/javascript": _SCRIPT_POLICY}


def json_response(
    body: Mapping[str, Any] | list[bytes], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a JSON body in UTF-8; blocks of bytes are JSON already."""
    content = body if isinstance(body, list) else to_json(body)
    return Response(content, status, headers, content_type="application/json")


def register(app: Flask) -> None:
    """Add the common headers to every response of the app."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers.update(SECURITY)
    response.headers["Content-Security-Policy"] = _POLICIES.get(response.mimetype or "", DATA_POLICY)
    response.headers.setdefault("Cache-Control", CACHING)
    if response.status_code == HTTPStatus.NO_CONTENT:
        del response.headers["Content-Type"]
    return response
