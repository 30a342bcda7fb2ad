"""Writing responses: JSON, and the headers that all have."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from pydantic_core import to_json

from api.http.request import request_id


def json_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON: UTF-8, unescaped."""
    return Response(to_json(body), status, headers, content_type="application/json")


def register(app: Flask) -> None:
    """Put the headers on every response."""
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code == HTTPStatus.NO_CONTENT:
        del response.headers["Content-Type"]
    return response
