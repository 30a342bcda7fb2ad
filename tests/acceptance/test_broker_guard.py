"""The guard of the broker's transport: with it a restart of Redis ends no worker.

Without it workers may end, a supervisor starts them again, and nothing that was accepted is lost either.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.attacks.cluster import Cluster
from tests.conftest import eventually
from tests.faults.campaign import Campaign, running_campaign
from tests.faults.plan import only
from tests.faults.planted import guard

# The design asks for 25.
KILLS = int(os.environ.get("KILLS", "6"))


def pid_of(cluster: Cluster, name: str) -> int:
    """Return the pid of a process, which may be about to be started again."""

    def found() -> int:
        with suppress(psutil.NoSuchProcess):
            return cluster.process(name).pid
        return 0

    return eventually(found)


def kill_redis_again_and_again(campaign: Campaign, cluster: Cluster) -> int:
    """Kill Redis under load and check all promises, each time; return how many workers ended for it."""
    ended = 0
    for step in only(["redis_killed"] * KILLS, seed=3):
        before = [pid_of(cluster, name) for name in cluster.scorers]
        result = campaign.run(step)
        assert result.items
        assert list(result.problems) == []
        after = [pid_of(cluster, name) for name in cluster.scorers]
        ended += sum(pid != other for pid, other in zip(before, after, strict=True))
    return ended


@pytest.mark.long
@pytest.mark.timeout(120 + 60 * KILLS)
def test_no_worker_ends_and_nothing_is_lost_when_redis_is_killed(tmp_path: Path) -> None:
    with running_campaign(tmp_path / "campaign") as campaign:
        assert kill_redis_again_and_again(campaign, campaign.cluster) == 0
        assert list(campaign.finish()) == []


@pytest.mark.long
@pytest.mark.timeout(120 + 60 * KILLS)
def test_nothing_is_lost_without_the_guard_when_redis_is_killed(tmp_path: Path) -> None:
    """Workers may end: a supervisor starts them again."""
    with running_campaign(tmp_path / "campaign", **{guard.VARIABLE: "1"}) as campaign:
        worker = campaign.cluster.process(campaign.cluster.scorers[0])
        eventually(lambda: worker.environ()[guard.VARIABLE] == "1")
        ended = kill_redis_again_and_again(campaign, campaign.cluster)
        print(f"\nwithout the guard {ended} workers ended in {KILLS} kills of Redis")  # noqa: T201  -s shows it
        assert list(campaign.finish()) == []
