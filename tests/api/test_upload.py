"""Uploads: lines in, a job that grows."""

from __future__ import annotations

import gzip
import io
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api.intake.decoding import DecodedBody
from tasks.errors import UploadIncompleteError
from tests.api.test_jobs import finished
from tests.conftest import eventually

NDJSON = {"content-type": "application/x-ndjson"}


def upload(
    http: httpx2.Client, body: bytes | Iterator[bytes], query: str = "", **headers: str
) -> httpx2.Response:
    return http.post(f"/v1/jobs?{query}", content=body, headers=NDJSON | headers)


def texts(count: int) -> list[str]:
    return [f"第{i}次来了，服务很贴心" for i in range(count)]


def lines(values: list[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def results(http: httpx2.Client, job_id: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/jobs/{job_id}/results", headers={"accept": NDJSON["content-type"]})
    *items, end = [json.loads(line) for line in answer.text.splitlines()]
    assert end["complete"] is True
    return items


@pytest.mark.parametrize("packed", [False, True])
def test_lines_become_a_job_in_their_order(http: httpx2.Client, packed: bool) -> None:  # noqa: FBT001
    given = texts(1500)
    values = [text if i % 2 else {"text": text, "id": f"r{i}"} for i, text in enumerate(given)]
    body = lines(values)
    answer = (
        upload(http, gzip.compress(body), **{"content-encoding": "gzip"}) if packed else upload(http, body)
    )
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["counts"]["total"], job["priority"], job["error"]) == (1500, "bulk", None)
    finished(http, job["id"])
    items = results(http, job["id"])
    assert [item["index"] for item in items] == list(range(1500))
    assert [item["chars"] for item in items] == [len(text) for text in given]
    assert [item["id"] for item in items] == [None if i % 2 else f"r{i}" for i in range(1500)]


def test_bad_lines_fail_alone_and_blank_ones_do_not_count(http: httpx2.Client) -> None:
    body = b"\n".join(
        [
            *(
                b"\xef\xbb\xbf" + lines(["服务很贴心"]).strip(),
                b"",
                b"  \r",
                b"not json",
                b'"\xff"',
                b'{"txt":"a"}',
            ),
            *(
                b"7",
                b'""',
                b'"' + b"x" * 65_536 + b'"',
                lines(["服务很贴心"]).strip() + b"\r",
                b'{"text":"a","id":7}',
            ),
        ]
    )
    job = finished(http, upload(http, body).json()["id"], include="results")
    assert [(item["error"] or {}).get("code") for item in job["results"]] == [
        *(
            None,
            "invalid_json",
            "invalid_encoding",
            "invalid_text",
            "invalid_line",
            "empty_text",
            "line_too_long",
        ),
        *(None, "invalid_id"),
    ]
    assert job["status"] == "partial"


def test_the_strict_are_told_every_bad_line_and_nothing_is_left(http: httpx2.Client) -> None:
    tag = f"strict {time.time()}"
    values: list[Any] = [*texts(2500), "", "x" * 10_001, {"txt": ""}]
    answer = upload(http, lines(values), f"strict=true&metadata.tag={tag}")
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        *(("/2500", "empty_text"), ("/2501", "text_too_long"), ("/2502", "invalid_text"))
    ]
    assert not http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]


def test_terms_are_in_the_query(http: httpx2.Client) -> None:
    query = "explain=true&on_long_text=window&priority=interactive&result_ttl_s=60&metadata.k=v&metadata.l=w"
    job = upload(http, lines(texts(2)), query).json()
    assert job["options"] == {
        "on_long_text": "window",
        "sentences": False,
        "explain": True,
        "aspects": None,
        "probabilities": None,
    }
    assert (job["priority"], job["result_ttl_s"], job["metadata"]) == (
        "interactive",
        60,
        {"k": "v", "l": "w"},
    )


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        *(("explian=true", "?explian"), ("explain=maybe", "?explain"), ("strict=1", "?strict")),
        *(("text=a", "?text"), ("result_ttl_s=5", "?result_ttl_s"), ("metadata.=v", "?metadata")),
        *(("priority=bulk&priority=interactive", "?priority"), ("metadata.a=1&metadata.a=2", "?metadata.a")),
        *(("strict=true&strict=true", "?strict"), ("explain=yes", "?explain"), ("sentences=1", "?sentences")),
    ],
)
def test_bad_terms_are_named(http: httpx2.Client, query: str, pointer: str) -> None:
    answer = upload(http, lines(texts(1)), query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


@pytest.mark.parametrize("body", [b"", b"\n\n"])
def test_an_upload_of_nothing_is_refused(http: httpx2.Client, body: bytes) -> None:
    answer = upload(http, body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "no_items")


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"not gzip", "gzip", 400, "invalid_gzip"),
        (gzip.compress(lines(texts(5000)))[:-9], "gzip", 400, "invalid_gzip"),
        (b"", "br", 415, "unsupported_encoding"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_told_and_leaves_nothing(
    http: httpx2.Client, body: bytes, encoding: str, status: int, code: str
) -> None:
    tag = f"gzip {time.time()}"
    answer = upload(http, body, f"metadata.tag={tag}", **{"content-encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]


@pytest.mark.parametrize("headers", [{"content-encoding": "gzip"}, {"content-encoding": "X-GZIP"}, {}])
def test_several_gzip_members_are_read_with_and_without_the_header(
    http: httpx2.Client, headers: dict[str, str]
) -> None:
    one = gzip.compress(lines(texts(10)))
    answer = upload(http, one + gzip.compress(b"\n" * 100_000) + one, **headers)
    assert answer.json()["counts"]["total"] == 20


@pytest.mark.parametrize(
    "media_type", ["application/ndjson", "application/jsonl", "application/x-jsonlines; charset=utf-8"]
)
def test_other_names_of_lines_are_known(http: httpx2.Client, media_type: str) -> None:
    answer = upload(http, lines(texts(2)), **{"content-type": media_type})
    assert answer.json()["counts"]["total"] == 2


@pytest.mark.parametrize(
    ("line", "code", "named", "kept"),
    [
        ('{"text":"很好","id":1}', "invalid_id", "`id`", "1"),
        ('{"text":"很好","id":""}', "invalid_id", "`id`", None),
        ('{"text":"很好","id":[1]}', "invalid_id", "`id`", None),
        ('{"text":"很好","rating":5,"id":"r2"}', "unknown_field", "other than `text`", "r2"),
        ('{"text":null,"id":"r9"}', "invalid_text", "`text`", "r9"),
        ('{"id":"r9"}', "invalid_text", "`text`", "r9"),
        ('{"text":null,"id":"\\ud83d"}', "invalid_text", "`text`", "\ufffd"),
        ('{"text":1,"id":123456789012345678901}', "invalid_text", "`text`", None),
        ("{'text':'很好'}", "invalid_json", "not valid JSON", None),
        ('["很好"]', "invalid_line", "neither a JSON string nor an object", None),
        (f'"{"很" * 30_000}"', "line_too_long", "longer than", None),
    ],
)
def test_a_bad_line_names_the_field_and_the_cause_and_keeps_its_id(
    http: httpx2.Client, line: str, code: str, named: str, kept: str | None
) -> None:
    job = finished(http, upload(http, f'{line}\n"服务很贴心"'.encode()).json()["id"], include="results")
    bad, good = job["results"]
    assert (bad["error"]["code"], bad["id"], good["status"]) == (code, kept, "succeeded")
    assert named in bad["error"]["message"]
    (told,) = upload(http, f'"服务很贴心"\n{line}'.encode(), "strict=true").json()["errors"]
    assert (told["pointer"], told["code"]) == ("/1", code)
    assert named in told["detail"] or "65536 bytes" in told["detail"]


def test_work_starts_while_the_rest_comes_in(http: httpx2.Client) -> None:
    go, tag = threading.Event(), f"grows {time.time()}"

    def slowly() -> Iterator[bytes]:
        yield lines(texts(2500))
        go.wait(60)
        yield lines(texts(10))

    def look() -> dict[str, Any]:
        found = http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]
        return found[0] if found and found[0]["counts"]["succeeded"] else {}

    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(upload, http, slowly(), f"metadata.tag={tag}")
        try:
            early = eventually(look, within_s=60)
            assert early["poll_after_ms"] is not None
            page = http.get(early["links"]["results"]).json()
            assert page["complete"] is False
        finally:
            go.set()
        job = answer.result(timeout=60).json()
    assert (job["id"], job["counts"]["total"]) == (early["id"], 2510)
    assert finished(http, job["id"])["status"] == "succeeded"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_upload_cut_in_half_ends_with_what_arrived_and_says_so(
    http: httpx2.Client, live_url: str, framing: str
) -> None:
    tag, body = f"cut{time.time()}", lines(texts(4000))
    place = urlsplit(live_url)
    head = f"POST /v1/jobs?metadata.tag={tag} HTTP/1.1\r\nhost: localhost\r\n"
    head += "content-type: application/x-ndjson\r\n"
    half = body[: len(body) // 2]
    if framing == "length":
        sent = f"content-length: {len(body)}\r\n\r\n".encode() + half
    else:
        sent = b"transfer-encoding: chunked\r\n\r\n" + f"{len(half):x}\r\n".encode() + half + b"\r\n"
    with socket.create_connection((place.hostname or "", place.port or 0)) as connection:
        connection.sendall(head.encode() + sent)

    def look() -> dict[str, Any]:
        found = http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"]
        return found[0] if found and found[0]["poll_after_ms"] is None else {}

    job = eventually(look, within_s=60)
    assert job["error"]["code"] == "upload_incomplete"
    assert (job["status"], 0 < job["counts"]["total"] < 2100) == ("succeeded", True)
    assert len(results(http, job["id"])) == job["counts"]["total"]


def test_an_upload_whose_job_is_canceled_or_deleted_meanwhile_is_told(http: httpx2.Client) -> None:
    go, tag = threading.Event(), f"closed {time.time()}"

    def slowly() -> Iterator[bytes]:
        yield lines(texts(2500))
        go.wait(60)
        yield lines(texts(2500))

    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(upload, http, slowly(), f"metadata.tag={tag}")
        try:
            (job,) = eventually(lambda: http.get("/v1/jobs", params={"metadata.tag": tag}).json()["data"])
            assert http.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
        finally:
            go.set()
        refused = answer.result(timeout=60)
    assert (refused.status_code, refused.json()["code"]) == (409, "job_closed")
    done = finished(http, job["id"])
    assert (done["status"], done["error"]["code"]) == ("canceled", "upload_incomplete")


class Trickle(io.RawIOBase):
    """A body that arrives in small parts, counts them, and breaks off after the last."""

    def __init__(self, body: bytes, size: int = 1_000) -> None:
        self.given = 0
        self._parts = [body[i : i + size] for i in range(0, len(body), size)]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._parts:
            raise UploadIncompleteError("cut")
        part = self._parts.pop(0)
        self.given += len(part)
        buffer[: len(part)] = part
        return len(part)


def test_gzip_is_read_as_it_arrives_and_what_came_before_a_cut_is_kept() -> None:
    chance = random.Random(1)
    texts = [json.dumps(chance.randbytes(40).hex()).encode() + b"\n" for _ in range(3_000)]
    arriving = Trickle(gzip.compress(b"".join(texts))[:60_000])
    stream = io.BufferedReader(DecodedBody(arriving, "gzip", 10**9))
    assert stream.readline() == texts[0]
    assert arriving.given <= 20_000, "not the whole of a large read"
    lines: list[bytes] = []
    with pytest.raises(UploadIncompleteError):
        lines.extend(iter(stream.readline, b""))
    assert lines == texts[1 : 1 + len(lines)]
    assert len(lines) > 500
