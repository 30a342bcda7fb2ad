"""Hours in which nothing is sent: the network forgets connections, lifetimes end, and the next job is served.

The time of day of all programs goes on by two hours at once. `IDLE_S=7200` waits for them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.attacks.cluster import Cluster, running_cluster
from tests.attacks.test_recovery import SETTINGS, WORKERS, await_whole, repeat
from tests.conftest import eventually
from tests.shifted_clock import Clock, lacks_clock

SILENCE_S, TIMES = 7200, 6
IDLE_S = int(os.environ.get("IDLE_S", "12"))
FORGOTTEN_S = 5  # a connection that was silent for so long is forgotten by the network
pytestmark = [
    pytest.mark.skipif(bool(lacks_clock()), reason=f"this machine has no {lacks_clock()}"),
    pytest.mark.timeout(240 + TIMES * IDLE_S),
]


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def cluster(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    for name, value in clock.variables.items():
        monkeypatch.setenv(name, value)
    with running_cluster(tmp_path, workers=WORKERS, **SETTINGS) as cluster:
        await_whole(cluster)
        yield cluster


def connections(cluster: Cluster) -> int:
    return sum(link.living for link in cluster.links.values())


def programs(cluster: Cluster) -> list[psutil.Process]:
    return [cluster.process(name) for name in cluster.links]


def predict(cluster: Cluster) -> httpx2.Response:
    return repeat(lambda: httpx2.post(f"{cluster.url}/predict", json={"text": "服务很贴心"}, timeout=60))


@pytest.mark.long
def test_a_job_after_two_hours_of_silence_is_served_and_connections_do_not_grow(
    cluster: Cluster, clock: Clock
) -> None:
    seen: list[int] = []
    before = [process.pid for process in programs(cluster)]
    for _ in range(TIMES):
        assert predict(cluster).json()["sentiment"] == "Positive"
        time.sleep(IDLE_S)
        for link in cluster.links.values():
            link.forget_idle(FORGOTTEN_S)
        clock.go_on(max(0, SILENCE_S - IDLE_S))
        assert predict(cluster).json()["sentiment"] == "Positive"
        await_whole(cluster)
        seen.append(connections(cluster))
    # Pools open another one now and then; a leak of one a program in each silence would be five times that.
    most = max(seen[:2]) + len(cluster.links)
    eventually(lambda: connections(cluster) <= most, within_s=60)
    assert [process.pid for process in programs(cluster)] == before, "none ended"
