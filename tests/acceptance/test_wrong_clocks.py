"""A host whose clock is wrong by a quarter of an hour serves: Redis's clock alone decides.

No program refuses to start for it, because nothing that was accepted depends on the clock of a host.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sentiq import Sentiq

from tests.attacks.cluster import Cluster, running_cluster
from tests.attacks.test_recovery import SETTINGS, WORKERS, await_whole
from tests.conftest import items_of
from tests.faults.kinds.machine import clock_shifted
from tests.shifted_clock import lacks_clock

pytestmark = pytest.mark.skipif(bool(lacks_clock()), reason=f"this machine has no {lacks_clock()}")
TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}" for i in range(120)]
SHIFTS = pytest.mark.parametrize("ahead_s", [900, -900], ids=["ahead", "behind"])
OVER_S = 120
ROUND_TRIP_S = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clocks")


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    with running_cluster(folder, workers=WORKERS, **SETTINGS) as cluster:
        await_whole(cluster)
        yield cluster


def score(cluster: Cluster) -> list[int]:
    """Score all texts; return how often each was begun."""
    with Sentiq(cluster.url) as client:
        job = client.submit(TEXTS, deadline_s=OVER_S)
        assert job.wait(timeout=OVER_S).status == "succeeded"
        items = items_of(client, job.id)
        assert [item["index"] for item in items] == list(range(len(TEXTS)))
        return [item["attempts"] for item in items]


@pytest.mark.long
@pytest.mark.timeout(240)
@SHIFTS
def test_a_worker_whose_clock_is_wrong_scores_each_text_once(cluster: Cluster, ahead_s: int) -> None:
    mend = clock_shifted("worker_1", ahead_s)(cluster, random.Random(0))
    await_whole(cluster)
    assert set(score(cluster)) == {1}, "no lease counts as ended, neither its own nor that of another"
    cluster.hold_down("worker_2")
    assert set(score(cluster)) == {1}, "alone too"
    cluster.let_up("worker_2")
    mend()
    await_whole(cluster)


@pytest.mark.long
@pytest.mark.timeout(240)
@SHIFTS
def test_an_api_whose_clock_is_wrong_says_so_and_accepts(
    cluster: Cluster, folder: Path, ahead_s: int
) -> None:
    mend = clock_shifted("api", ahead_s)(cluster, random.Random(0))
    await_whole(cluster)
    assert set(score(cluster)) == {1}, "no deadline passes early"
    log = (folder / "cluster.log").read_text("utf-8")
    where = "ahead of" if ahead_s > 0 else "behind"
    said = re.findall(rf"the clock of this host is (\d+) s {where} that of Redis", log)
    assert [int(off_s) for off_s in said] == pytest.approx([900] * len(said), abs=ROUND_TRIP_S)
    assert said
    mend()
    await_whole(cluster)
