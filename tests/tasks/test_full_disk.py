"""The disk of Redis is full: writes are refused, reads go on, and nothing that was accepted is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.processes import Group, Process
from local.redis_server import start_redis
from tasks.settings import Settings
from tasks.store.jobs import JobStore
from tests.api.test_access import running_api
from tests.conftest import MODEL_NAME, eventually
from tests.disk import Disk, lacks_mount, mounted

pytestmark = pytest.mark.skipif(bool(lacks_mount()), reason=f"this machine has no {lacks_mount()}")
SOON_S = 5


class Server:
    """A Redis whose log is on a small disk."""

    def __init__(self, group: Group, folder: Path, *, durable: bool) -> None:
        self._group, self._folder, self._durable = group, folder, durable
        self.process, self.url = self._start(None)

    def start_again(self) -> None:
        self.process, _ = self._start(int(self.url.rsplit(":", 1)[1].split("/")[0]))

    def _start(self, port: int | None) -> tuple[Process, str]:
        return start_redis(self._group, data_dir=self._folder, port=port, durable=self._durable)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def durable() -> bool:
    """Return whether each change is on disk before its answer."""
    return False


@pytest.fixture
def server(disk: Disk, durable: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:  # noqa: FBT001
    monkeypatch.setenv("SENTIMENT_DEFAULT_MODEL", MODEL_NAME)
    monkeypatch.setenv("DURABLE", str(durable).lower())
    with Group() as group:
        yield Server(group, disk.folder, durable=durable)


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Iterator[httpx2.Client]:
    with (
        running_api(server.url, tmp_path / "api.log", AUTH="none") as url,
        httpx2.Client(base_url=url, timeout=30, trust_env=False) as http,
    ):
        yield http


def submit(api: httpx2.Client) -> httpx2.Response:
    return api.post("/v1/jobs", json={"items": [{"text": "这家餐厅太难吃了" * 20}] * 20})


def accepted_until_refused(api: httpx2.Client) -> tuple[list[str], httpx2.Response]:
    """Submit until a job is refused; return the ids of those that were accepted, and the refusal."""
    accepted: list[str] = []

    def refused() -> httpx2.Response | None:
        answer = submit(api)
        if answer.status_code == 202:
            accepted.append(answer.json()["id"])
            return None
        return answer

    refusal = eventually(refused)
    assert refusal is not None
    return accepted, refusal


def all_found(api: httpx2.Client, job_ids: list[str]) -> bool:
    return all(api.get(f"/v1/jobs/{job_id}").status_code == 200 for job_id in job_ids)


def test_a_full_disk_refuses_writes_until_it_has_room(server: Server, disk: Disk, api: httpx2.Client) -> None:
    before = submit(api).json()["id"]
    disk.fill()
    accepted, refusal = accepted_until_refused(api)
    assert_unavailable(refusal)
    store = JobStore.connect(Settings(redis_url=server.url))
    assert store.redis.info("persistence")["aof_last_write_status"] == "err", "or the disk is not full"
    for path in (f"/v1/jobs/{before}", f"/v1/jobs/{before}/results", "/v1/jobs", "/v1/queue", "/v1/info"):
        assert api.get(path).status_code == 200, path
    began = time.monotonic()
    assert_unavailable(eventually(lambda: unready(api)))
    assert_unavailable(submit(api))
    assert time.monotonic() - began < SOON_S
    disk.free()
    after = eventually(lambda: submitted(api)).json()["id"]
    # All of it comes to the log now, so that a crash loses nothing either.
    eventually(lambda: store.redis.info("persistence")["aof_last_write_status"] == "ok")
    server.process.kill()
    server.process.end()
    server.start_again()
    eventually(lambda: api.get("/readyz").is_success)
    assert all_found(api, [before, *accepted, after])


@pytest.mark.parametrize("durable", [True])
def test_a_durable_redis_ends_on_a_full_disk_and_has_all_that_was_accepted(
    server: Server, disk: Disk, api: httpx2.Client
) -> None:
    """With `appendfsync always` Redis itself ends rather than answer for what it could not write."""
    disk.fill()
    accepted, refusal = accepted_until_refused(api)
    assert_unavailable(refusal)
    eventually(lambda: not server.process.running)
    assert api.get("/livez").is_success
    disk.free()
    server.start_again()
    after = eventually(lambda: submitted(api)).json()["id"]
    assert all_found(api, [*accepted, after])


def unready(api: httpx2.Client) -> Any:
    answer = api.get("/readyz")
    return None if answer.is_success else answer


def submitted(api: httpx2.Client) -> Any:
    answer = submit(api)
    return answer if answer.status_code == 202 else None


def assert_unavailable(answer: Any) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), answer.text
    assert int(answer.headers["retry-after"]) >= 1
