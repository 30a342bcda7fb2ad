"""Serves the document, and a page of it for people that needs nothing from anywhere else."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, render_template
from pydantic_core import to_json

from api.auth.guard import public
from api.openapi.document import document
from api.routes.context import services

blueprint = Blueprint("docs", __name__)

_CSP = "default-src 'self'; object-src 'none'; base-uri 'none'"
_COUNTS = {
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "minItems": "≥ {}",
    "maxItems": "≤ {}",
}
_BOUNDS = _COUNTS | {"minimum": "≥ {}", "maximum": "≤ {}", "default": "default {}"}


@blueprint.get("/openapi.json")
@public
def get_document() -> Response:
    """Return this document."""
    return Response(to_json(_document(), indent=1), content_type="application/json")


@blueprint.get("/docs")
@public
def show_docs() -> Response:
    """Show this document to people."""
    body = render_template("docs.html", document=_document(), kind=kind, bounds=bounds)
    return Response(body, headers={"Content-Security-Policy": _CSP})


def kind(schema: dict[str, Any]) -> list[str]:
    """Say in words what a schema takes; names of components begin with `#`."""
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
    """Say in words what limits a schema sets."""
    limited = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), {}) | schema
    return ", ".join(text.format(limited[name]) for name, text in _BOUNDS.items() if name in limited)


def _document() -> dict[str, Any]:
    """Build it once a process."""
    built: dict[str, Any] = current_app.extensions.setdefault("openapi", {})
    if not built:
        built |= document(current_app, services().settings)
    return built
