"""A Redis that answers and takes no writes: nobody's text is given up for it, and reads go on."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import redis

from local.ports import free_port
from local.redis_server import redis_server
from tasks.errors import JobLostError, WritesRefusedError
from tasks.store import leases
from tasks.store.jobs import JobStore
from tasks.store.keys import job_key
from tasks.store.reconciler import Reconciler
from tasks.vocabulary.jobs import JobStatus
from tests.api.test_access import running_api
from tests.conftest import MODEL_NAME, eventually
from tests.tasks.test_jobs import CHILD, MODEL, record, take, verdicts


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis that writes its data to a folder, which a test may take away."""
    with redis_server(data_dir=tmp_path / "data") as url:
        yield url


REFUSALS = ("READONLY", "MISCONF", "OOM")


def refuses(store: JobStore) -> bool:
    try:
        store.check()
    except WritesRefusedError:
        return True
    return False


@contextmanager
def refusing(store: JobStore, kind: str, folder: Path) -> Iterator[Callable[[], None]]:
    """Have Redis refuse writes; give a function that ends this."""

    def end() -> None:
        store.redis.config_set("maxmemory", 0)
        store.redis.config_set("stop-writes-on-bgsave-error", "no")
        store.redis.config_set("save", "")  # a stop would wait for a save, which cannot succeed
        store.redis.execute_command("REPLICAOF", "NO", "ONE")

    if kind == "READONLY":
        store.redis.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
    elif kind == "OOM":
        store.redis.config_set("maxmemory", 1)
    else:
        shutil.rmtree(folder / "data")
        store.redis.config_set("save", "3600 1")
        store.redis.config_set("stop-writes-on-bgsave-error", "yes")
        store.redis.bgsave()
    eventually(lambda: refuses(store))
    try:
        yield end
    finally:
        end()


# Without memory a script that begins by deleting may still write: results need no second try then.
@pytest.mark.parametrize("kind", ["READONLY", "MISCONF"])
def test_scored_work_is_written_as_soon_as_redis_takes_writes_again(
    store: JobStore, tmp_path: Path, kind: str
) -> None:
    job_id = record(store, 2, 2)
    held = take(store)
    written: list[int] = []
    with refusing(store, kind, tmp_path) as end:
        leases.renew(store, held)
        child = threading.Thread(
            target=lambda: written.append(leases.finish(store, held, verdicts(held), MODEL))
        )
        child.start()
        time.sleep(0.6)
        assert not written
        end()
        child.join(timeout=5)
    assert written == [2]
    Reconciler(store, lambda *_: None, "worker", MODEL_NAME).tick(alive=[CHILD.pid])
    job = store.job(job_id)
    assert (job.status, job.counts.succeeded) == (JobStatus.SUCCEEDED, 4)
    assert {item.attempts for item in store.results(job_id, 0, 9).items} == {1}


@pytest.mark.parametrize("kind", REFUSALS)
def test_reads_go_on(store: JobStore, redis_url: str, tmp_path: Path, kind: str) -> None:
    done, lost = record(store, 1), record(store, 1)
    held = take(store)
    leases.finish(store, held, verdicts(held), MODEL)
    store.redis.delete(job_key(lost))
    log = tmp_path / "api.log"
    with (
        running_api(redis_url, log, AUTH="none") as url,
        httpx2.Client(base_url=url, trust_env=False) as api,
        refusing(store, kind, tmp_path) as end,
    ):
        for path in (f"/v1/jobs/{done}", f"/v1/jobs/{done}/results", "/v1/jobs", "/v1/queue", "/v1/info"):
            assert api.get(path).status_code == 200, path
        assert api.get(f"/v1/jobs/{lost}").json()["code"] == "job_lost"
        assert api.get("/readyz").json()["code"] == "store_unavailable"
        refused = api.post("/v1/jobs", json={"text": "好"})
        assert refused.status_code == 503
        end()
        eventually(lambda: api.post("/v1/jobs", json={"text": "好"}).status_code == 202)
    with pytest.raises(JobLostError):
        store.job(lost)


def test_a_text_is_no_refusal(store: JobStore) -> None:
    record(store, 1)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        store.redis.lpush("sentiq:counters", "- OOM MISCONF")
    assert leases.lease(store, CHILD, 1) is not None
