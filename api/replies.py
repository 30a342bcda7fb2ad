"""Reading and writing JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flask import Response, request
from pydantic import BaseModel
from pydantic_core import to_json

from api.problems import Problem

Body = TypeVar("Body", bound=BaseModel)


def read_json(model: type[Body]) -> Body:
    """Read the request's body. Raises the 415, 400 or 422 that says what is wrong with it."""
    if request.mimetype != "application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    return model.model_validate_json(request.get_data())


def reply(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON: UTF-8, unescaped."""
    return Response(to_json(body), status, headers, content_type="application/json")
