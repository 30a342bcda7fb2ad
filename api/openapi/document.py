"""Builds the OpenAPI document: paths from the routes of the app, schemas from pydantic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from werkzeug.routing import Rule

from api.auth.guard import scope_of
from api.auth.origins import has_any_host
from api.http.problems import TITLES
from api.openapi.operations import OPERATIONS, Header, Operation, ResponseSpec
from api.schemas.problems import Problem
from api.schemas.queries import Query
from api.schemas.request_bodies import MAX_ID_CHARS
from tasks.settings import Settings

_REF = "#/components/schemas/{model}"
_ONE = "one"
_PROBLEM = "application/problem+json"
_HEADERS = {
    "Location": ("Path of the job or of the key.", {"type": "string"}),
    "Retry-After": ("Seconds to wait before the next request.", {"type": "integer", "minimum": 0}),
    "Preference-Applied": ("The wait that was applied.", {"type": "string"}),
    "Idempotent-Replayed": ("An earlier request with this key made the job.", {"const": "true"}),
    "WWW-Authenticate": ("How to authenticate, or the scope that is missing.", {"type": "string"}),
    "X-Complete": (
        "Of lines and rows: whether these are all items of the job. Absent with `follow`.",
        {"enum": ["true", "false"]},
    ),
    "X-Next-Cursor": ("Of lines and rows: the `cursor` of the rest.", {"type": "string"}),
    "Content-Disposition": ("Of rows: a file name.", {"type": "string"}),
    "X-Key-Expires-At": (
        "When the key ends, if within a week.",
        {"type": "string", "format": "date-time"},
    ),
    "X-Request-Id": ("The request's own X-Request-Id, or a new one.", {"type": "string"}),
}
_PROBLEM_HEADERS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    409: ("Retry-After",),
    429: ("Retry-After",),
    503: ("Retry-After",),
    504: ("Retry-After",),
}
# The calls that take the id of a job in a response.
_LINKED = (
    "get_job",
    "cancel_job",
    "retry_job",
    "delete_job",
    "get_results",
    "get_summary",
    "get_comparison",
    "stream_events",
    "list_deliveries",
)
_PATH_ARGUMENT = re.compile(r"<(\w+)>")
_DESCRIPTION = """Submit Chinese texts as a job, then read the sentiment of each. The folder `docs/` explains
more.

Errors are `application/problem+json`. Every accepted job reaches a terminal status: poll it, or wait with
`Prefer: wait=N`."""


def document(app: Flask, settings: Settings) -> dict[str, Any]:
    """Return the OpenAPI document of an app with these settings."""
    schemas = _SchemaRegistry(settings)
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if operation := OPERATIONS.get(operation_id(rule)):
            path = paths.setdefault(_PATH_ARGUMENT.sub(r"{\1}", rule.rule), {})
            path[_method(rule)] = _operation(rule, operation, schemas, app)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sentiq", "version": "1", "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.definitions.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


class _SchemaRegistry:
    """Turns types into JSON schemas and collects those with a name; limits come from the settings."""

    def __init__(self, settings: Settings) -> None:
        self.definitions: dict[str, Any] = {}
        self._known: dict[tuple[Any, JsonSchemaMode], Any] = {}
        self._limits = {
            "max_text_chars": settings.max_text_chars,
            "max_items": settings.max_items,
            "max_body_bytes": settings.max_body_bytes,
            "max_upload_bytes": settings.max_upload_bytes,
        }

    def of(self, model: Any, mode: JsonSchemaMode = "serialization") -> Any:
        """Return the schema of a type, or a reference to its component."""
        if (model, mode) not in self._known:
            self._known[model, mode] = self._made(model, mode)
        return self._known[model, mode]

    def _made(self, model: Any, mode: JsonSchemaMode) -> Any:
        adapters = [(_ONE, mode, TypeAdapter(model))]
        schemas, shared = TypeAdapter.json_schemas(adapters, ref_template=_REF)
        self._define(shared)
        return self._limited(schemas[_ONE, mode])

    def properties_of(self, model: type[BaseModel]) -> dict[str, Any]:
        """Return the schemas of the values that a model's fields may be given: without null and default."""
        schema = model.model_json_schema(ref_template=_REF)
        self._define(schema)
        return {name: _as_given(each) for name, each in schema.get("properties", {}).items()}

    def _define(self, schema: Mapping[str, Any]) -> None:
        for name, definition in self._limited(schema.get("$defs", {})).items():
            if self.definitions.setdefault(name, definition) != definition:
                message = f"two bodies have the name {name}"
                raise ValueError(message)

    def _limited(self, schema: Any) -> Any:
        """Replace names of settings by their values."""
        if isinstance(schema, dict):
            return {key: self._limited(value) for key, value in schema.items()}
        if isinstance(schema, list):
            return [self._limited(each) for each in schema]
        return self._limits.get(schema, schema) if isinstance(schema, str) else schema


def _as_given(schema: Mapping[str, Any]) -> dict[str, Any]:
    (given,) = (each for each in schema.get("anyOf", [schema]) if each != {"type": "null"})
    return {name: value for name, value in given.items() if name not in ("title", "default", "description")}


def _operation(rule: Rule, operation: Operation, schemas: _SchemaRegistry, app: Flask) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    scope = scope_of(view, _method(rule).upper())
    statuses = sorted(
        {
            *operation.problems,
            *((401, 403, 429) if scope else ()),
            *(() if has_any_host(view) else (421,)),
            *((503,) if operation.store else ()),
        }
    )
    described: dict[str, Any] = {
        "operationId": operation_id(rule),
        "summary": (view.__doc__ or "").split("\n")[0],
        **({"description": " ".join(operation.description.split())} if operation.description else {}),
        "parameters": [
            *_path_parameters(rule),
            *_query_parameters(operation.query, schemas),
            *(_header_parameter(header, schemas) for header in operation.headers),
        ],
        "responses": {
            **{str(status): _response(response, schemas) for status, response in operation.responses.items()},
            **{str(status): _problem(status, schemas) for status in statuses},
        },
    }
    if scope:
        described["security"] = [{"key": [scope]}]
    if operation.body:
        content = {
            media: {"schema": schemas.of(model, "validation")} for media, model in operation.body.items()
        }
        described["requestBody"] = {"required": True, "content": content}
    return described


def _path_parameters(rule: Rule) -> Iterator[dict[str, Any]]:
    schema = {"type": "string", "maxLength": MAX_ID_CHARS}
    for name in _PATH_ARGUMENT.findall(rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(query: type[Query], schemas: _SchemaRegistry) -> Iterator[dict[str, Any]]:
    fields = {field.alias or name: field for name, field in query.model_fields.items()}
    for name, schema in schemas.properties_of(query).items():
        if name not in query.nested:
            description = fields[name].description
            yield {"name": name, "in": "query", "description": description, "schema": schema}


def _header_parameter(header: Header, schemas: _SchemaRegistry) -> dict[str, Any]:
    schema = schemas.of(header.type, "validation")
    return {"name": header.name, "in": "header", "description": header.description, "schema": schema}


def _response(response: ResponseSpec, schemas: _SchemaRegistry) -> dict[str, Any]:
    described = {
        "description": response.description,
        "headers": _headers(*response.headers),
        "content": {media: {"schema": schemas.of(model)} for media, model in response.content.items()},
    }
    return described | ({"links": dict(_links())} if response.links else {})


def _links() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in _LINKED:
        yield name, {"operationId": name, "parameters": {"job_id": "$response.body#/id"}}


def _problem(status: int, schemas: _SchemaRegistry) -> dict[str, Any]:
    return {
        "description": TITLES[status],
        "headers": _headers(*_PROBLEM_HEADERS.get(status, ())),
        "content": {_PROBLEM: {"schema": schemas.of(Problem)}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {
        name: {"description": description, "schema": schema}
        for name, (description, schema) in _HEADERS.items()
        if name in (*names, "X-Key-Expires-At", "X-Request-Id")
    }


def operation_id(rule: Rule) -> str:
    """Return the operationId of a route: the name of its handler."""
    return str(rule.endpoint).rsplit(".", 1)[-1]


def _method(rule: Rule) -> str:
    (method,) = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    return method.lower()
