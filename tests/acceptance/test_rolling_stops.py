"""Workers are stopped one after the other, as an upgrade does, and no text is scored twice or lost for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sentiq import Sentiq

from tests.attacks.cluster import Cluster, running_cluster
from tests.attacks.test_recovery import SETTINGS, WORKERS, await_whole
from tests.conftest import eventually, items_of

STOPS = int(os.environ.get("STOPS", "20"))
JOBS_UNDER_WAY, ITEMS = 2, 200
OVER_S = 120
GRACE_S = 14  # compose allows 90 s
TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}" for i in range(ITEMS)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("rolling"), workers=WORKERS, **SETTINGS) as cluster:
        await_whole(cluster)
        yield cluster


class Load:
    """Submits a job as soon as fewer than two are under way; `accepted` are the ids of all."""

    def __init__(self, url: str) -> None:
        self.accepted: list[str] = []
        self._url, self._stopping = url, threading.Event()

    def run(self) -> None:
        with Sentiq(self._url) as client:
            under_way: list[str] = []
            while not self._stopping.wait(0.05):
                under_way = [job_id for job_id in under_way if not client.job(job_id).finished]
                if len(under_way) < JOBS_UNDER_WAY:
                    under_way.append(client.submit(TEXTS).id)
                    self.accepted.append(under_way[-1])

    def await_another(self) -> None:
        """Wait until one more job is accepted: something is under way then."""
        before = len(self.accepted)
        eventually(lambda: len(self.accepted) > before, within_s=60)

    def stop(self) -> None:
        self._stopping.set()


@contextmanager
def loaded(cluster: Cluster) -> Iterator[Load]:
    load = Load(cluster.url)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.stop()
        thread.join(OVER_S)


def check(cluster: Cluster, job_ids: list[str], most_attempts: int) -> None:
    """Each text of each job has one verdict, the same in all jobs, after that many attempts at most."""
    with Sentiq(cluster.url) as client:
        jobs = [client.job(job_id).wait(timeout=OVER_S) for job_id in job_ids]
        assert {job.status for job in jobs} == {"succeeded"}
        for job_id in job_ids:
            items = items_of(client, job_id)
            assert [item["index"] for item in items] == list(range(ITEMS))
            assert max(item["attempts"] for item in items) <= most_attempts


@pytest.mark.long
@pytest.mark.timeout(60 * STOPS)
def test_twenty_rolling_stops_lose_no_text_and_none_begins_again(cluster: Cluster) -> None:
    """SIGTERM ends a worker with code 0, when it has finished what it scores."""
    with loaded(cluster) as load:
        for number in range(STOPS):
            load.await_another()
            program = cluster.program(cluster.scorers[number % WORKERS])
            program.terminate()
            assert program.end() == "ended with exit code 0", number
            await_whole(cluster)
    assert len(load.accepted) > JOBS_UNDER_WAY
    check(cluster, load.accepted, most_attempts=1)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_worker_that_is_killed_behind_its_grace_loses_no_text(cluster: Cluster) -> None:
    """A child that hangs holds up the warm stop; SIGKILL ends it, as an engine of containers does."""
    with loaded(cluster) as load:
        eventually(lambda: load.accepted)
        program = cluster.program("worker_1")
        for child in cluster.process("worker_1").children():
            child.suspend()
        program.terminate()
        with pytest.raises(AssertionError):
            eventually(lambda: not program.running, within_s=GRACE_S)
        program.kill()
        assert program.end() == "was killed by SIGKILL"
        await_whole(cluster)
    check(cluster, load.accepted, most_attempts=2)
