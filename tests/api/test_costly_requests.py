"""What one request may cost is bounded before it is paid, and nobody waits for it meanwhile."""

from __future__ import annotations

import gc
import gzip
import io
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import httpx2
import pytest

from api.app import create_app
from api.intake.rows import Layout
from api.intake.upload import Upload
from api.openapi.document import document
from api.schemas import queries
from api.schemas.queries import Query, UploadQuery
from local.redis_server import redis_server
from tasks.errors import SentiqError
from tasks.settings import Settings
from tests.api.test_access import running_api

SETTINGS = Settings()
DOCUMENT = document(create_app(SETTINGS), SETTINGS)
MAX_WAIT_S = 0.1
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}


class Body(io.RawIOBase):
    """A body that is there as a whole."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


def read_all(
    content: bytes, encoding: str, settings: Settings = SETTINGS, layout: Layout | None = None
) -> str:
    """Read an upload; return the code of its refusal, if any."""
    try:
        for _ in Upload(Body(content), encoding, UploadQuery(), settings, layout).items():
            pass
    except SentiqError as error:
        details = getattr(error, "errors", [{"code": error.code}])
        return str(details[0]["code"])
    return ""


def longest_wait_s(works: Sequence[Callable[[], object]]) -> float:
    """Run works side by side; return the longest processor time between two turns of another greenlet."""
    longest = 0.0

    def tick() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            gevent.sleep(0.001)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    gc.collect()
    gc.disable()  # a collection of the heap of all tests is none of this work
    other = gevent.spawn(tick)
    gevent.sleep(0.01)
    running = [gevent.spawn(work) for work in works]
    gevent.joinall(running, raise_error=True)
    gevent.sleep(0.01)
    other.kill()
    gc.enable()
    return longest


HOSTILE_UPLOADS = {
    "blank lines": (gzip.compress(b"\n" * 20_000_000), "gzip"),
    "lines of spaces": (gzip.compress(b" \n" * 10_000_000), "gzip"),
    "empty texts": (gzip.compress(b'""\n' * 15_000), "gzip"),
    "lines that are no items": (gzip.compress(b"x\n" * 15_000), "gzip"),
    "items with unknown fields": (gzip.compress(b'{"text":"a","b":1}\n' * 10_000), "gzip"),
    "one line without an end": (gzip.compress(b"a" * 20_000_000), "gzip"),
    "long lines of values": ((b"[" + b"1," * 30_000 + b"1]\n") * 20, "identity"),
    "long lines of half pairs": ((b'"' + b"\\ud83d" * 10_000 + b'"\n') * 20, "identity"),
    "empty members": (gzip.compress(b"") * 50_000, "gzip"),
    "a plain body": (b'"a"\n' * 50_000, "identity"),
}


ROWS = Layout(",", "gb18030")
HOSTILE_ROWS = {
    "blank lines": b"\n" * 3_000_000,
    "quotes": (b'"' * 60_000 + b"\n") * 30,
    "an open quote": b'"' + b"a\n" * 3_000_000,
    "an open quote and pairs": b'"' + b'""\n' * 1_000_000,
    "cells": (b"," * 60_000 + b"\n") * 60,
    "quoted cells": (b'"",' * 20_000 + b"\n") * 60,
    "one row without an end": b"a," * 5_000_000,
    "rows that are no text": b"\xff,\xff\n" * 100_000,
    "short rows": b"a\n" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE_UPLOADS)
def test_no_upload_keeps_others_waiting(name: str) -> None:
    content, encoding = HOSTILE_UPLOADS[name]
    assert longest_wait_s([partial(read_all, content, encoding)]) < MAX_WAIT_S


@pytest.mark.parametrize("name", HOSTILE_ROWS)
def test_no_upload_of_rows_keeps_others_waiting(name: str) -> None:
    content = gzip.compress(b"text,a\n" + HOSTILE_ROWS[name])
    assert longest_wait_s([partial(read_all, content, "gzip", layout=ROWS)]) < MAX_WAIT_S


def test_many_uploads_at_once_keep_others_waiting_no_longer() -> None:
    small = {name: given for name, given in HOSTILE_UPLOADS.items() if len(given[0]) < 50_000}
    works = [partial(read_all, *given) for given in [*small.values()] * 2]
    assert len(works) >= 8
    assert longest_wait_s(works) < MAX_WAIT_S


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (gzip.compress(b"\n" * 20_000), {"max_upload_items": 10_000}, "too_many_lines"),
        (b'"a"\n\n' * 10_001, {"max_upload_items": 10_000}, "too_many_items"),
        (b'"a"\n\n' * 10_000, {"max_upload_items": 10_000}, ""),
        (gzip.compress(b"a" * 5_000_000), {}, "excessive_compression"),
        (gzip.compress(b'"a"\n' * 200_000, 0), {}, ""),
        (gzip.compress(b'"a"\n' * 200_000), {}, ""),
        (gzip.compress(b"") * 10_000, {"max_upload_bytes": 100_000}, "body_too_large"),
        (gzip.compress(b'"a"\n' * 50_000), {"max_upload_bytes": 100_000}, "body_too_large"),
        (b'"a"\n' * 50_000, {"max_upload_bytes": 100_000}, "body_too_large"),
    ],
    ids=range(9),
)
def test_an_upload_has_a_budget(content: bytes, limits: dict[str, int], code: str) -> None:
    assert read_all(content, "identity", SETTINGS.model_copy(update=limits)) == code


def test_others_are_served_while_a_bomb_comes_in(redis_url: str, tmp_path: Path) -> None:
    bomb, headers = gzip.compress(b"\n" * 100_000_000), LINES | {"content-encoding": "gzip"}
    with (
        running_api(redis_url, tmp_path / "api.log", AUTH="none") as url,
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as other,
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as hostile,
        ThreadPoolExecutor(1) as sending,
    ):

        def wait_s() -> float:
            began = time.monotonic()
            other.get("/livez").raise_for_status()
            return time.monotonic() - began

        calm = [wait_s() for _ in range(20)]
        refused = sending.submit(hostile.post, "/v1/jobs", content=bomb, headers=headers)
        beside = [wait_s() for _ in iter(refused.done, True)]  # noqa: FBT003
    assert refused.result().status_code == 422
    assert len(beside) > 5
    assert max(beside) < max(calm) + 1, "generous: the machine may be busy"


def unbounded(schema: Any, where: str, components: dict[str, Any]) -> Iterator[str]:
    """Yield the places of arrays, maps and strings without a maximum."""
    if "$ref" in schema:
        schema = components[schema["$ref"].rsplit("/", 1)[1]]
    kind = schema.get("type")
    if kind == "array" and "maxItems" not in schema:
        yield where
    if kind == "string" and not {"maxLength", "enum", "const"} & schema.keys():
        yield where
    if kind == "object" and schema.get("additionalProperties", True) is not False:
        if "maxProperties" not in schema:
            yield where
        yield from unbounded(schema.get("propertyNames", {"type": "string"}), f"{where}{{}}", components)
    parts = dict(schema.get("properties", {}))
    parts |= {"[]": schema["items"]} if "items" in schema else {}
    if isinstance(schema.get("additionalProperties"), dict):
        parts["*"] = schema["additionalProperties"]
    if not parts:  # else these only say which parts go together
        parts |= {str(i): each for word in ("anyOf", "oneOf") for i, each in enumerate(schema.get(word, []))}
    for name, part in parts.items():
        yield from unbounded(part, f"{where}/{name}", components)


def inputs(described: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the schema of every request body and parameter of a document."""
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            for parameter in call["parameters"]:
                yield f"{method} {path} {parameter['name']}", parameter["schema"]
            for media, body in call.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {media}", body["schema"]


def all_unbounded(described: dict[str, Any]) -> list[str]:
    components = described["components"]["schemas"]
    found = (place for where, schema in inputs(described) for place in unbounded(schema, where, components))
    return list(found)


@pytest.mark.parametrize("source", ["live", "docs"])
def test_everything_that_a_caller_sizes_has_a_maximum(http: httpx2.Client, source: str) -> None:
    copy = Path(__file__).parents[2] / "docs" / "openapi.json"
    described = http.get("/openapi.json").json() if source == "live" else json.loads(copy.read_text("utf-8"))
    assert len(list(inputs(described))) > 20
    assert all_unbounded(described) == []


@pytest.mark.parametrize(
    "model",
    [each for each in vars(queries).values() if isinstance(each, type) and issubclass(each, Query)],
)
def test_what_a_query_nests_has_a_maximum_too(model: type[Query]) -> None:
    schema = model.model_json_schema()
    assert list(unbounded(schema, model.__name__, schema.get("$defs", {}))) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}},
        {"type": "object"},
        {"type": "object", "maxProperties": 2},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}]}}},
    ],
)
def test_a_planted_schema_without_a_maximum_is_seen(schema: dict[str, Any]) -> None:
    assert list(unbounded(schema, "", {}))


def test_events_are_a_set(http: httpx2.Client) -> None:
    def submit(*events: str) -> httpx2.Response:
        webhook = {"url": "https://example.com/", "events": events}
        return http.post("/v1/jobs", json={"text": "好", "webhook": webhook})

    assert submit("job.failed", "job.partial").status_code == 202
    refused = submit("job.failed", "job.failed")
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/webhook/events")
    many = submit(*["job.failed"] * 6)
    assert "at most 5 items" in many.json()["detail"]
    query = "webhook.url=https://example.com/&webhook.events=job.failed,job.failed"
    assert http.post(f"/v1/jobs?{query}", content=b'"a"', headers=LINES).status_code == 422


HOSTILE_DOCUMENTS = {
    "events": (
        "/v1/jobs",
        b'{"text":"a","webhook":{"events":[' + b'"x",' * 999_999 + b'"x"]}}',
        "/webhook/events",
    ),
    "items": ("/v1/jobs", b'{"items":[' + b'{"text":""},' * 300_000 + b"1]}", "/items"),
    "arrays": ("/v1/jobs", b'{"items":[' + b"[]," * 1_300_000 + b"1]}", "/items"),
    "objects": ("/predict", b'{"text":[' + b"{}," * 1_300_000 + b"1]}", "/text"),
    "numbers": ("/predict_batch", b'{"texts":[' + b"1," * 2_000_000 + b"1]}", "/texts"),
    "texts": ("/predict_batch", b'{"texts":[' + b'"",' * 1_300_000 + b"1]}", "/texts"),
    "ids": ("/v1/jobs/lookup", b'{"ids":[' + b'"a",' * 900_000 + b"1]}", "/ids"),
    "metadata": (
        "/v1/jobs",
        b'{"text":"a","metadata":{' + b",".join(b'"%d":""' % i for i in range(300_000)) + b"}}",
        "/metadata",
    ),
    "fields": ("/predict", b"{" + b",".join(b'"x%d":1' % i for i in range(300_000)) + b"}", ""),
    "depth": ("/predict", b'{"text":' + b"[" * 4_000_000, "/text"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """URL of a service and the process that serves it."""
    log = tmp_path_factory.mktemp("measured") / "api.log"
    with redis_server() as redis_url, running_api(redis_url, log, AUTH="none") as url:
        booted = re.search(r"Booting worker with pid: (\d+)", log.read_text("utf-8"))
        assert booted
        httpx2.post(f"{url}/v1/jobs", content=b" " * 4_000_000, headers=JSON, trust_env=False)
        yield url, int(booted[1])


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # type: ignore[index]


@pytest.mark.parametrize("name", HOSTILE_DOCUMENTS)
def test_a_document_is_refused_before_it_is_built(measured: tuple[str, int], name: str) -> None:
    (url, pid), (path, body, pointer) = measured, HOSTILE_DOCUMENTS[name]
    assert len(body) < SETTINGS.max_body_bytes
    before = peak_memory(pid)
    answer = httpx2.post(f"{url}{path}", content=body, headers=JSON, timeout=60, trust_env=False)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, pointer, "too_many_items")
    assert "at most 1000 items" in error["detail"]
    assert peak_memory(pid) - before < 24 * 2**20


def test_braces_and_commas_in_texts_count_for_nothing(http: httpx2.Client) -> None:
    texts = ['[{,}] "引号" \\' * 20 for _ in range(100)]
    body = json.dumps({"items": [{"text": text} for text in texts]}, ensure_ascii=False)
    assert sum(map(body.count, "[{,")) > 5000, "more than a document may have outside of texts"
    answer = http.post("/v1/jobs", content=body.encode(), headers=JSON)
    assert answer.status_code == 202, answer.text
    http.post(f"/v1/jobs/{answer.json()['id']}/cancel")
