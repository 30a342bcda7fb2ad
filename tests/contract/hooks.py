"""Tells schemathesis what JSON schemas cannot express."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st

from api.schemas.queries import MAX_COLUMNS_CHARS
from tasks.vocabulary.attachments import MAX_DATA_BYTES
from tasks.vocabulary.items import Item

_MAX_CHARS, _MAX_KEY_CHARS, _MAX_EVENT_ID_CHARS = 10_000, 255, 64
_CALENDAR = (datetime(1970, 1, 1), datetime(9998, 1, 1))  # noqa: DTZ001  hypothesis wants them naive
# Preferences that make no sense are ignored, as RFC 7240 has it, and so are ids of events.
_IGNORED_IF_LONG = ("Prefer", "Last-Event-ID")
_JSON, _NDJSON = "application/json", "application/x-ndjson"
_PASSED = "2026-01-01T00:00:00Z"
_OF_MODELS = ("model", "compare_with", "aspects")
_OF_OTHERS = ("text_column", "summarize_by", "from_index", *_OF_MODELS)
_ROWS = ("text/csv", "text/tab-separated-values")
_OF_ROWS = {"bom", "safe", "columns"}

# The service under test allows this address; nothing listens there.
schemathesis.openapi.format(
    "public-http-url", st.integers(1, 9).map(lambda number: f"http://127.0.0.1:{number}/hook")
)
schemathesis.openapi.format(
    "date-time",
    st.datetimes(*_CALENDAR).map(lambda time: f"{time.isoformat()}Z"),
)


@schemathesis.serializer(_NDJSON)
def _lines(_context: Any, value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else None


@schemathesis.serializer(*_ROWS)
def _rows(_context: Any, value: Any) -> bytes | None:
    """Return one row below a header that fits it."""
    if not isinstance(value, str):
        return None
    quoted = value.replace('"', '""')
    return f'text\n"{quoted}"\n'.encode()


@schemathesis.hook
def map_case(_context: Any, case: Any) -> Any:
    """Change a request so that its parts fit each other."""
    query, headers = case.query or {}, case.headers or {}
    if "Idempotency-Key" in headers and _is_key(headers["Idempotency-Key"]):
        # The same key with another request would be answered with 422.
        headers["Idempotency-Key"] = uuid.uuid4().hex
    if case.path == "/v1/jobs" and case.media_type == _JSON:
        # Only an upload has its terms in the query.
        case.query = {name: value for name, value in query.items() if name == "strict"}
    elif case.path == "/v1/jobs":
        # Which columns and models there are, and which upload is resumed, is not for a schema to say.
        case.query = {name: value for name, value in query.items() if name not in _OF_OTHERS}
    for terms in (case.query, case.body):
        _begin_now(terms)
    if case.path.endswith("/usage") and str(query.get("from", "")) > str(query.get("to", _today())):
        del query["from"]  # a first day behind the last one, which is today by itself, is refused
    if case.path.endswith("/summary"):
        query.pop("by", None)  # it must be the `summarize_by` of the job
    if query.get("follow") == "true" and case.path.endswith("/results"):
        case.headers["Accept"] = _NDJSON
    if _OF_ROWS & query.keys() and case.path.endswith("/results"):
        case.headers["Accept"] = "text/csv"
        if 0 < len(str(query.get("columns", ""))) <= MAX_COLUMNS_CHARS:
            case.query["columns"] = "index,label"  # any other name is rejected
    return case


@schemathesis.hook
def filter_case(_context: Any, case: Any) -> bool:
    """Skip requests whose validity depends on two parts, like `strict` with texts that cannot be scored."""
    # An upload without lines, such as a byte order mark alone, is rejected; a row with an empty cell is not.
    if {_NDJSON: not _has_lines(case.body)}.get(case.media_type, case.media_type in _ROWS and not case.body):
        return False
    if any(len(str((case.headers or {}).get(name, ""))) > _MAX_EVENT_ID_CHARS for name in _IGNORED_IF_LONG):
        return False
    if isinstance(case.body, dict) and (_is_refused(case.body) or _pauses_others(case)):
        return False
    if (case.query or {}).get("strict") != "true":
        return True
    if isinstance(case.body, str):
        return False
    items = case.body.get("items") if isinstance(case.body, dict) else None
    return not isinstance(items, list) or all(map(_is_good, items))


def _pauses_others(case: Any) -> bool:
    """Return whether a request would pause more than the work of some other key."""
    target = str(case.body.get("target", ""))
    return case.path == "/v1/admin/pauses" and (target == "owner:" or target.startswith(("class:", "model:")))


def _is_refused(body: dict[str, Any]) -> bool:
    """Return whether a body is refused for what no schema says: unreadable texts, large objects, models."""
    items = body.get("items")
    given = [item for item in (items if isinstance(items, list) else []) if isinstance(item, dict)]
    return (
        any(each.get(name) for each in (body, *given) for name in _OF_MODELS)
        or any(map(_has_large_data, given))
        or any(map(_is_unreadable, _texts(body)))
    )


def _texts(body: dict[str, Any]) -> list[Any]:
    texts = body.get("texts")
    return [body.get("text"), *(texts if isinstance(texts, list) else [])]


def _is_unreadable(text: Any) -> bool:
    """Return whether a text has characters, and none that is read."""
    return isinstance(text, str) and bool(text.strip()) and Item.accept(text, _MAX_CHARS).error is not None


def _has_large_data(item: dict[str, Any]) -> bool:
    return len(json.dumps(item.get("data"))) > MAX_DATA_BYTES


def _has_lines(body: Any) -> bool:
    return isinstance(body, str) and ("\ufeff" not in body or bool(body.replace("\ufeff", "").strip()))


def _begin_now(terms: Any) -> None:
    """Put a time that has passed for one that may be more than a week ahead, which is refused."""
    if isinstance(terms, dict) and "not_before" in terms:
        with suppress(TypeError, ValueError):
            datetime.fromisoformat(terms["not_before"])
            terms["not_before"] = _PASSED


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _is_key(value: Any) -> bool:
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and 0 < len(value) <= _MAX_KEY_CHARS
    )


def _is_good(item: Any) -> bool:
    """Return whether an item can be scored, as far as its text says."""
    text = item.get("text") if isinstance(item, dict) else None
    return not isinstance(text, str) or Item.accept(text, _MAX_CHARS).error is None
