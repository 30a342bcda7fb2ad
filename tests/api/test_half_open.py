"""Connections to Redis that died without being closed, as behind a proxy that keeps the near half up."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from tasks.settings import Settings
from tasks.store import leases, models
from tasks.store.jobs import JobStore
from tasks.vocabulary.chunks import ChunkResult
from tests.api.test_access import running_api
from tests.conftest import MODEL_NAME, eventually
from tests.webhooks.jobs import GOOD, HOLDER, MODEL

ROOT = Path(__file__).parents[2]
MAX_DEAF_S = 5


class Proxy:
    """Forwards TCP connections to a Redis until `freeze`: from then on only new ones are forwarded."""

    def __init__(self, redis_url: str) -> None:
        self._target = urlsplit(redis_url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._frozen: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        return self._target._replace(
            netloc=f"{self._target.netloc.rpartition('@')[0]}@{host}" if self._target.password else host
        ).geturl()

    def freeze(self) -> None:
        """Forward nothing more of what is open, and close nothing either."""
        self._frozen = set(self._sockets)

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection((self._target.hostname or "", self._target.port or 6379))
                self._sockets += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if source not in self._frozen:
                    sink.sendall(data)
            if source not in self._frozen:
                sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    proxy = Proxy(redis_url)
    yield proxy
    proxy.close()


@pytest.fixture
def scorer(store: JobStore) -> Iterator[None]:
    """Scores whatever waits, over connections that nothing happens to."""
    stopping = threading.Event()

    def score() -> None:
        while not stopping.wait(0.02):
            finish_next(store)

    thread = threading.Thread(target=score)
    thread.start()
    yield
    stopping.set()
    thread.join()


def finish_next(store: JobStore, model: str = MODEL_NAME) -> bool:
    held = leases.lease(store, replace(HOLDER, model=model), 10**9)
    if held:
        results = [ChunkResult(each.chunk, [GOOD] * len(each.chunk.items), 1) for each in held.chunks]
        leases.finish(store, held, results, MODEL)
    return held is not None


@pytest.mark.usefixtures("scorer")
def test_no_wait_is_deaf_for_more_than_5_s(proxy: Proxy, store: JobStore, tmp_path: Path) -> None:
    with (
        running_api(proxy.url, tmp_path / "api.log", AUTH="none") as url,
        httpx2.Client(base_url=url, timeout=60, trust_env=False) as http,
        ThreadPoolExecutor() as caller,
    ):
        eventually(lambda: predict_s(http) < 1)
        models.register(store, "unserved", {})
        path = http.post("/v1/jobs", json={"text": "服务很贴心", "model": "unserved"}).headers["location"]
        waited = caller.submit(http.get, path, headers={"prefer": "wait=30"})
        time.sleep(0.3)  # it has read the job, and waits
        proxy.freeze()
        frozen_at = time.monotonic()
        assert finish_next(store, "unserved")
        while time.monotonic() < frozen_at + MAX_DEAF_S:
            predict_s(http)
            time.sleep(0.05)
        assert time.monotonic() < frozen_at + MAX_DEAF_S + 2, "a prediction did not notice"
        assert max(predict_s(http) for _ in range(20)) < 1
        assert waited.done(), "a wait that had begun did not notice"
        assert waited.result().json()["status"] == "succeeded"


def predict_s(http: httpx2.Client) -> float:
    """Return the seconds until a verdict comes; many if none does."""
    began = time.monotonic()
    answer = http.post("/predict", json={"text": "服务很贴心"})
    return time.monotonic() - began if answer.is_success else 60.0


def test_the_store_itself_is_reached_again_after_one_timeout(proxy: Proxy, settings: Settings) -> None:
    """The sender of webhooks and the worker's parent read in the same way: every wait of a read is finite."""
    through = JobStore.connect(
        settings.model_copy(update={"redis_url": Settings(redis_url=proxy.url).redis_url}), patience=5
    )
    through.check()
    proxy.freeze()
    began = time.monotonic()
    through.check()
    assert time.monotonic() - began < MAX_DEAF_S


def test_no_other_program_waits_for_messages_of_redis() -> None:
    waiting = {
        str(path.relative_to(ROOT))
        for folder in ("api", "tasks", "webhooks", "worker")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\.(pubsub|blpop|brpop|blmove|xread\w*|bzpop\w+)\(", path.read_text("utf-8"))
    }
    assert waiting == {"api/waiting/hub.py"}, "what waits must ask with a PING: see MAX_DEAF_S"
