"""The requests of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sentiq.bodies import UploadBody
from sentiq.effects import Call

NDJSON = "application/x-ndjson"
MAX_WAIT_S = 30
Query = tuple[tuple[str, str], ...]


def job_path(job_id: str, part: str = "") -> str:
    """Return the path of a job, or of a part of it. The id is quoted, so that it stays one segment."""
    return f"/v1/jobs/{quote(job_id, safe='')}{part}"


def get(path: str, query: Query = (), **headers: str) -> Call:
    """Return a GET for JSON."""
    return Call("GET", path, query, {"accept": "application/json", **headers})


def get_job(job_id: str, wait_s: float = 0, *, results: bool = False) -> Call:
    """Return the request for a job, which waits that long for its end."""
    headers = {"prefer": f"wait={wait_s:g}"} if wait_s else {}
    return get(job_path(job_id), (("include", "results"),) if results else (), **headers)


def submit(body: Mapping[str, Any], key: str, wait_s: float = 0) -> Call:
    """Return the request that submits one JSON document."""
    headers = {"content-type": "application/json", "idempotency-key": key}
    if wait_s:
        headers["prefer"] = f"wait={wait_s:g}"
    return Call("POST", "/v1/jobs", headers=headers, content=encoded(body))


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return a JSON document as it is sent."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(body).encode()


def upload(content_type: str, query: Query, key: str, body: UploadBody) -> Call:
    """Return the request that uploads lines or rows."""
    headers = {"content-type": content_type, "idempotency-key": key, "content-encoding": "gzip"}
    return Call("POST", "/v1/jobs", query, headers, upload=body)


def ask_recorded(content_type: str, query: Query, key: str) -> Call:
    """Return the request that asks how much of an upload is recorded: the same with an empty body."""
    return Call(
        "POST", "/v1/jobs", query, {"content-type": content_type, "idempotency-key": key}, content=b""
    )


def terms_query(terms: Mapping[str, Any], **more: Any) -> Query:
    """Return terms as the query of an upload.

    A field of an object is `name.field`; a list is repeated, and one in an object has commas.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in {**terms, **more}.items():
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{part}", _word(each)) for part, each in value.items()]
        elif value is not None:
            pairs += _repeated(name, value)
    return tuple(pairs)


def _repeated(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, _word(each)) for each in value]
    return [(name, _word(value))]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return ",".join(map(_word, value))
    return str(value)
