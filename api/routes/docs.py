"""GET /openapi.json, and GET /docs, a page for people that loads nothing from other hosts."""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

from flask import Blueprint, Response, copy_current_request_context, current_app, render_template
from gevent import get_hub
from pydantic_core import to_json

from api.auth.guard import public
from api.openapi.document import document
from api.routes.context import services

blueprint = Blueprint("docs", __name__)

_EXTENSION = "openapi"
_RENDERING = Lock()
_COUNTS = {
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "minItems": "≥ {}",
    "maxItems": "≤ {}",
}
_BOUNDS = _COUNTS | {"minimum": "≥ {}", "maximum": "≤ {}", "default": "default {}"}


class _Rendered(NamedTuple):
    document: bytes
    page: bytes


@blueprint.get("/openapi.json")
@public
def get_document() -> Response:
    """Get the OpenAPI document."""
    return Response(_rendered().document, content_type="application/json")


@blueprint.get("/docs")
@public
def show_docs() -> Response:
    """Show the OpenAPI document as a page."""
    return Response(_rendered().page)


def kind(schema: dict[str, Any]) -> list[str]:
    """Return the type of a schema in words; those that name a component begin with `#`."""
    if "$ref" in schema:
        return ["#" + schema["$ref"].rsplit("/", 1)[1]]
    for word in ("anyOf", "oneOf"):
        if word in schema and "properties" not in schema:
            return [part for each in schema[word] for part in (*kind(each), "or")][:-1]
    if "const" in schema or "enum" in schema:
        return [", ".join(map(str, schema.get("enum", [schema.get("const")])))]
    if schema.get("type") == "array":
        return ["list of", *kind(schema["items"])]
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return ["map to", *kind(schema["additionalProperties"])]
    return [schema.get("format") or schema.get("type", "anything")]


def bounds(schema: dict[str, Any]) -> str:
    """Return the limits of a schema in words."""
    limited = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), {}) | schema
    return ", ".join(text.format(limited[name]) for name, text in _BOUNDS.items() if name in limited)


def _rendered() -> _Rendered:
    """Return both forms of the document; they are made once in each process.

    That takes tenths of a second, so a thread of the system makes them, and others are served meanwhile.
    """
    with _RENDERING:
        made: _Rendered | None = current_app.extensions.get(_EXTENSION)
        if made is None:
            made = get_hub().threadpool.apply(copy_current_request_context(_render))
            current_app.extensions[_EXTENSION] = made
    return made


def _render() -> _Rendered:
    built = document(current_app, services().settings)
    page = render_template("docs.html", document=built, kind=kind, bounds=bounds)
    return _Rendered(to_json(built, indent=1), page.encode())
