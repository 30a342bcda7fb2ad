"""Bodies that are cut, malformed, late, or too many at once: a problem document, and nobody else waits."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from local.redis_server import redis_server
from tests.api.raw_requests import answer_on, connected, exchange, head
from tests.api.test_access import bearer, made, running_api
from tests.conftest import eventually

PATHS = ["/predict", "/predict_batch", "/v1/jobs", "/v1/jobs/lookup"]
CHUNKED = "transfer-encoding: chunked"
LIMITS = {
    "SENTIMENT_MAX_BODY_S": "2",
    "SENTIMENT_MAX_UPLOAD_S": "1",
    "SENTIMENT_MAX_WAIT_S": "2",
    "SENTIMENT_MAX_HELD": "2",
    "SENTIMENT_MAX_OPEN_REQUESTS": "8",
    "SENTIMENT_MAX_BODY_BYTES": "100000",
    "SENTIMENT_KEEP_ALIVE_S": "1",
}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, Path]]:
    """URL of a service with low limits and without a worker, URL of its Redis, and its log."""
    log = tmp_path_factory.mktemp("limited") / "api.log"
    with redis_server() as redis_url, running_api(redis_url, log, AUTH="none", **LIMITS) as url:
        yield url, redis_url, log


@pytest.fixture
def url(limited: tuple[str, str, Path]) -> str:
    return limited[0]


MALFORMED = {
    "letters": b"ZZ\r\n{}\r\n0\r\n\r\n",
    "prefixed": b"0x2\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "empty": b"\r\n{}\r\n0\r\n\r\n",
    "unterminated": b"2\r\n{}xx0\r\n\r\n",
    "long line": b"2" * 1_000_000,
    "long trailer": b"2\r\n{}\r\n0\r\nx: " + b"a" * 1_000_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_chunks_are_refused(limited: tuple[str, str, Path], path: str, body: bytes) -> None:
    url, _, log = limited
    answer = exchange(url, head(path, CHUNKED) + body)
    assert (answer.status, answer.body["code"]) == (400, "body_unreadable")
    assert answer.media_type == "application/problem+json"
    assert "Traceback" not in log.read_text("utf-8")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_ends_early_is_refused(url: str, path: str, framing: str) -> None:
    body = b'{"text":"a"}'  # a whole document, and still not the whole body
    sent = head(path, CHUNKED) + b"20\r\n" + body if framing == "chunked" else None
    answer = exchange(url, sent or head(path, "content-length: 1000") + body, and_ends=True)
    assert (answer.status, answer.body["code"]) == (400, "body_unreadable")


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_stops_is_ended(url: str, path: str) -> None:
    began = time.monotonic()
    answer = exchange(url, head(path, "content-length: 100") + b"{")
    assert (answer.status, answer.body["code"]) == (408, "body_timeout")
    assert 0.9 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("path", "media_type", "expected"),
    [
        ("/predict", "application/json", (408, "body_timeout")),
        ("/v1/jobs", "application/x-ndjson", (400, "upload_incomplete")),
    ],
)
@pytest.mark.parametrize("framing", ["content-length: 9999", CHUNKED])
def test_a_body_that_drips_is_ended_though_it_never_stops(
    url: str, path: str, media_type: str, expected: tuple[int, str], framing: str
) -> None:
    began = time.monotonic()
    over = threading.Event()
    with connected(url) as connection:
        connection.sendall(head(path, framing, media_type=media_type))

        def drip() -> None:
            while not over.wait(0.1):
                try:
                    connection.sendall(b"1\r\n \r\n" if framing == CHUNKED else b" ")
                except OSError:
                    return

        with ThreadPoolExecutor(1) as dripping:
            dripping.submit(drip)
            try:
                answer = answer_on(connection)
            finally:
                over.set()
    assert (answer.status, answer.body["code"]) == expected
    assert time.monotonic() - began < 10


def test_a_caller_has_few_requests_open_and_others_are_served(url: str) -> None:
    with ExitStack() as open_ones:
        for _ in range(8):
            connection = open_ones.enter_context(connected(url))
            connection.sendall(head("/v1/jobs", "content-length: 100") + b"{")
        refused = eventually(
            lambda: (
                answer
                if not (
                    answer := httpx2.post(f"{url}/v1/jobs", json={"text": "好"}, trust_env=False)
                ).is_success
                else None
            )
        )
        assert refused is not None
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_open_requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert httpx2.get(f"{url}/livez", trust_env=False).status_code == 200
    eventually(
        lambda: httpx2.post(f"{url}/v1/jobs", json={"text": "好"}, trust_env=False).status_code == 202,
        within_s=10,
    )


def test_the_open_requests_of_one_key_do_not_count_for_another(
    limited: tuple[str, str, Path], tmp_path: Path
) -> None:
    _, redis_url, _ = limited
    first, second = (bearer(made(redis_url)) for _ in range(2))
    limit = {"SENTIMENT_MAX_OPEN_REQUESTS": "1", "SENTIMENT_MAX_BODY_S": "30"}
    authorization = f"authorization: {first['Authorization']}"
    with running_api(redis_url, tmp_path / "api.log", **limit) as url, connected(url) as stalled:
        stalled.sendall(head("/v1/jobs", authorization, "content-length: 100") + b"{")
        refused = eventually(
            lambda: (
                answer
                if (answer := httpx2.get(f"{url}/v1/jobs", headers=first, trust_env=False)).is_error
                else None
            )
        )
        assert refused is not None
        assert refused.json()["code"] == "too_many_open_requests"
        assert httpx2.get(f"{url}/v1/jobs", headers=second, trust_env=False).status_code == 200


def test_a_caller_has_few_bytes_of_unfinished_documents_in_memory(url: str) -> None:
    body = b'{"text":"' + b"a" * 99_000
    with ExitStack() as open_ones:
        connections = [open_ones.enter_context(connected(url)) for _ in range(6)]
        for connection in connections:
            connection.sendall(head("/v1/jobs", "content-length: 100000") + body)
        codes = [answer_on(connection).body["code"] for connection in connections]
    assert codes.count("too_many_open_requests") >= 1
    assert set(codes) == {"too_many_open_requests", "body_timeout"}


def test_documents_that_come_in_together_wait_for_each_other_and_are_accepted(
    limited: tuple[str, str, Path], tmp_path: Path
) -> None:
    limits = {"SENTIMENT_MAX_BODY_S": "60", "SENTIMENT_MAX_BODY_BYTES": "100000"}
    body = json.dumps({"items": [{"text": "好" * 3000}] * 10}, ensure_ascii=False).encode()
    with (
        running_api(limited[1], tmp_path / "api.log", AUTH="none", **LIMITS | limits) as url,
        ExitStack() as open_ones,
    ):
        connections = [open_ones.enter_context(connected(url)) for _ in range(6)]
        for connection in connections:
            connection.sendall(head("/v1/jobs", f"content-length: {len(body)}") + body[:-1])
        for connection in connections:
            connection.sendall(body[-1:])
        answers = [answer_on(connection) for connection in connections]
    assert [answer.status for answer in answers] == [202] * 6


def test_predictions_count_as_held_and_what_is_too_much_is_refused_at_once(url: str) -> None:
    def predict() -> tuple[int, str, float]:
        began = time.monotonic()
        answer = httpx2.post(f"{url}/predict", json={"text": "好"}, timeout=30, trust_env=False)
        return answer.status_code, answer.json()["code"], time.monotonic() - began

    with ThreadPoolExecutor(6) as callers:
        waiting = [callers.submit(predict) for _ in range(6)]
        assert httpx2.get(f"{url}/livez", timeout=5, trust_env=False).status_code == 200
        answers = sorted(each.result() for each in waiting)
    assert [answer[:2] for answer in answers] == [
        *[(503, "service_full")] * 4,
        *[(504, "not_finished_in_time")] * 2,
    ]
    assert max(seconds for *_, seconds in answers[:4]) < min(seconds for *_, seconds in answers[4:])


def test_documents_may_be_compressed_within_the_same_limit(url: str) -> None:
    def send(body: bytes, **headers: str) -> httpx2.Response:
        return httpx2.post(
            f"{url}/v1/jobs",
            content=body,
            headers={"content-type": "application/json", **headers},
            trust_env=False,
        )

    packed = gzip.compress('{"text":"服务很贴心"}'.encode())
    assert send(packed, **{"content-encoding": "gzip"}).status_code == 202
    assert send(packed, **{"content-encoding": "X-Gzip"}).status_code == 202
    assert send(packed).status_code == 202, "recognised by its first bytes"
    bomb = send(gzip.compress(b" " * 10_000_000), **{"content-encoding": "gzip"})
    assert (bomb.status_code, bomb.json()["code"]) == (413, "body_too_large")
    unknown = send(packed, **{"content-encoding": "br"})
    assert (unknown.status_code, unknown.json()["code"]) == (415, "unsupported_encoding")
    broken = send(packed[:-9], **{"content-encoding": "gzip"})
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_gzip")


@pytest.mark.parametrize(
    ("body", "content_type", "status", "detail"),
    [
        ('\ufeff{"text":"好"}'.encode(), "application/json", 202, ""),
        ('{"text":"好"}'.encode(), "application/json; charset=UTF-8", 202, ""),
        ('{"text":"好"}'.encode("gbk"), "application/json; charset=gbk", 415, "gbk"),
        ('{"text":"好"}'.encode("gbk"), "application/json", 400, "not UTF-8 at byte 9"),
        ('{"text":"好"}'.encode("utf-16"), "application/json", 400, "UTF-16"),
        ('{"text":"好"}'.encode("utf-16-le"), "application/json", 400, "UTF-16"),
        ('"好"'.encode("gbk"), "application/x-ndjson; charset=gbk", 415, "gbk"),
    ],
)
def test_the_encoding_is_named(url: str, body: bytes, content_type: str, status: int, detail: str) -> None:
    headers = {"content-type": content_type}
    answer = httpx2.post(f"{url}/v1/jobs", content=body, headers=headers, trust_env=False)
    assert answer.status_code == status, answer.text
    assert detail in answer.json().get("detail", "")


@pytest.mark.parametrize(
    "media_type", ["application/vnd.ms-excel", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_another_type_is_told_those_that_are_accepted(url: str, media_type: str) -> None:
    answer = httpx2.post(
        f"{url}/v1/jobs", content=b"a,b", headers={"content-type": media_type}, trust_env=False
    )
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "application/json" in answer.json()["detail"]
    assert "application/x-ndjson" in answer.json()["detail"]


HALVES = {
    "high": r"好\ud83d",
    "low": r"\ude00好",
    "high twice": r"\ud83d\ud83d\ude00",
    "in the middle": r"a\ud83db",
    "behind a backslash": r"\\\ud83d",
    "behind an escaped one": r"\\ud83d\udc00",
}
READ = {
    "high": "好\ufffd",
    "low": "\ufffd好",
    "high twice": "\ufffd😀",
    "in the middle": "a\ufffdb",
    "behind a backslash": "\\\ufffd",
    "behind an escaped one": "\\ud83d\ufffd",
}


@pytest.mark.parametrize("name", HALVES)
def test_half_an_emoji_does_not_sink_the_others(http: httpx2.Client, name: str) -> None:
    body = f'{{"texts":["服务很贴心","{HALVES[name]}","😀 \\ud83d\\ude00"]}}'.encode()
    answer = http.post("/predict_batch", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert [each["text"] for each in answer.json()["results"]] == ["服务很贴心", READ[name], "😀 😀"]
    items = f'{{"items":[{{"text":"服务很贴心"}},{{"text":"{HALVES[name]}","id":"b"}}]}}'.encode()
    headers = {"content-type": "application/json", "prefer": "wait=20"}
    job = http.post("/v1/jobs", content=items, headers=headers).json()
    assert job["results"][0]["status"] == "succeeded"
    assert (job["results"][1]["id"], job["results"][1]["chars"]) == ("b", len(READ[name]))


def test_a_line_with_half_an_emoji_is_read_too(http: httpx2.Client) -> None:
    lines = "\n".join(json.dumps({"text": text}) for text in ("服务很贴心", "好\ud83d"))
    headers = {"content-type": "application/x-ndjson", "prefer": "wait=20"}
    job = http.post("/v1/jobs", content=lines.encode(), headers=headers).json()
    assert [item["chars"] for item in job["results"]] == [5, 2]
