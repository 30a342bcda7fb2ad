"""What a caller has the API hold in memory is bounded: uploads that pause, and answers that nobody reads."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic_core import to_json

from api.intake import streams
from api.intake.submission import cut
from local.redis_server import redis_server
from tasks.settings import Settings
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import Chunk, ChunkResult
from tasks.vocabulary.items import Item
from tests.api.raw_requests import answer_on, connected, head
from tests.api.test_access import running_api
from tests.conftest import MODEL_NAME, eventually
from tests.verdicts import rated

NDJSON = "application/x-ndjson"
OPEN_REQUESTS = 8
WIDE = "\U00020bb7"  # a character of four bytes


@pytest.fixture(scope="module")
def held_redis() -> Iterator[str]:
    """Give the URL of the service's Redis."""
    with redis_server() as redis_url:
        yield redis_url


@pytest.fixture(scope="module")
def url(held_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a service where a caller may have eight requests open, without a worker."""
    log = tmp_path_factory.mktemp("held") / "api.log"
    limits = {"SENTIMENT_MAX_OPEN_REQUESTS": str(OPEN_REQUESTS), "SENTIMENT_DEFAULT_MODEL": MODEL_NAME}
    with running_api(held_redis, log, AUTH="none", **limits) as url:
        yield url


def refused(url: str) -> str | None:
    """Return the code with which a request is refused, None if it is served."""
    answer = httpx2.get(f"{url}/v1/jobs?limit=1", trust_env=False)
    return None if answer.is_success else f"{answer.status_code} {answer.json()['code']}"


def unread(url: str) -> socket.socket:
    """Return a connection whose client has room for a few kilobytes only."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((parts.hostname, parts.port))
    return connection


@pytest.fixture(scope="module")
def job_id(url: str) -> str:
    """Record jobs whose list is more than the kernel takes for a client that does not read; give an id."""
    metadata = {f"{number:02}" + WIDE * 62: WIDE * 512 for number in range(16)}
    for _ in range(100):
        body = {"text": "好", "metadata": metadata}
        answer = httpx2.post(f"{url}/v1/jobs", json=body, trust_env=False).raise_for_status()
    return str(answer.json()["id"])


def test_a_large_answer_is_read_while_another_request_waits(url: str, job_id: str) -> None:
    with connected(url) as waiting:
        waiting.sendall(head(f"/v1/jobs/{job_id}", "prefer: wait=30", method="GET"))
        for _ in range(3):
            answer = httpx2.get(f"{url}/v1/jobs?limit=100", trust_env=False)
            assert answer.status_code == 200, answer.text[:300]
            assert len(answer.content) > 64 * 1024 * OPEN_REQUESTS
        httpx2.post(f"{url}/v1/jobs/{job_id}/cancel", trust_env=False).raise_for_status()
        assert answer_on(waiting).body["status"] == "canceled"


@pytest.mark.usefixtures("job_id")
def test_an_answer_that_nobody_reads_counts_for_its_bytes(url: str) -> None:
    with unread(url) as slow:
        slow.sendall(head("/v1/jobs?limit=100", method="GET"))
        assert slow.recv(12) == b"HTTP/1.1 200"
        eventually(lambda: refused(url) == "429 too_many_open_requests", within_s=10)
    eventually(lambda: refused(url) is None, within_s=10)


def test_the_answer_to_a_submission_counts_too(url: str, held_redis: str) -> None:
    store = JobStore.connect(Settings(redis_url=held_redis, default_model=MODEL_NAME))
    body = to_json({"items": [{"text": WIDE * 9_000}] * 80, "keep_texts": True})
    with unread(url) as slow:
        slow.sendall(head("/v1/jobs", f"content-length: {len(body)}", "prefer: wait=30") + body)
        slow.settimeout(0.2)
        assert eventually(lambda: begun(slow, store), within_s=20) == b"HTTP/1.1 200"
        eventually(lambda: refused(url) == "429 too_many_open_requests", within_s=10)
    eventually(lambda: refused(url) is None, within_s=10)


def work(store: JobStore) -> None:
    """Score whatever waits."""
    child = leases.Holder("host:1/2/3", 1, siblings=1, model=MODEL_NAME)
    while held := leases.lease(store, child, 10**9):
        verdicts = [[rated(0.75, 5, 5)] * len(leased.chunk.items) for leased in held.chunks]
        results = [
            ChunkResult(leased.chunk, rows, 1) for leased, rows in zip(held.chunks, verdicts, strict=True)
        ]
        leases.finish(store, held, results, {"id": "test", "revision": "1", "engine": "none"})


def begun(connection: socket.socket, store: JobStore) -> bytes:
    """Return the beginning of an answer, b"" without any yet; work meanwhile."""
    work(store)
    with contextlib.suppress(TimeoutError):
        return connection.recv(12)
    return b""


def test_an_upload_counts_as_eight_requests_until_its_last_line_is_there(url: str) -> None:
    with connected(url) as upload:
        request = head("/v1/jobs", "content-length: 10", "prefer: wait=30", media_type=NDJSON)
        upload.sendall(request + '"好"\n'.encode())
        eventually(lambda: refused(url) == "429 too_many_open_requests", within_s=10)
        upload.sendall(b'"a"\n')
        # It waits for its job now, and holds nothing.
        eventually(lambda: refused(url) is None, within_s=10)


def test_a_chunk_ends_when_what_its_items_bring_along_is_large() -> None:
    large = [Item("", 0, "a" * 256, data=b"{" + b" " * 2000 + b"}")] * 64
    sizes = [sum(item.held_bytes for item in chunk.items) for chunk in cut("job_1", large, 64, 4096)]
    assert len(sizes) > 1
    assert max(sizes) < 40_000
    plain = [Item("服务很贴心" * 6, 30, "a" * 256)] * 64
    assert [len(chunk.items) for chunk in cut("job_1", plain, 64, 4096)] == [64]


def test_a_batch_of_chunks_ends_when_it_is_large() -> None:
    items = [Item("", 0, "a" * 256, data=b"{" + b" " * 2000 + b"}")] * 64
    chunks = [Chunk("job_1", 64 * number, items) for number in range(16)]
    batches = list(streams._batched(chunks))
    assert [len(batch) for batch in batches] == [1] * 16
    plain = [Chunk("job_1", 64 * number, [Item("服务很贴心" * 6, 30)] * 64) for number in range(16)]
    assert [len(batch) for batch in streams._batched(plain)] == [16]
