"""A child is killed in each phase of its work in a running stack; each text has one verdict all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sentiq import Sentiq

from tests.attacks.cluster import Cluster, running_cluster
from tests.attacks.test_recovery import SETTINGS, WORKERS, await_whole
from tests.conftest import INT8_TOLERANCE, items_of
from tests.faults.planted import phases
from tests.faults.planted.defects import environment

TEXTS = [f"第{i}次来，{('服务很贴心', '菜太难吃了', '还行吧')[i % 3]}" for i in range(300)]
KILLS = 2
# How often the texts are begun that a child held when it died.
ATTEMPTS = {
    phases.BEFORE_LEASE: 1,
    phases.LEASED: 2,
    phases.SCORING: 2,
    phases.SCORED: 2,
    phases.WRITTEN: 1,
}
OVER_S = 100

Verdict = tuple[str, float]


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file: the child that next comes to the phase that it names takes it away, and dies."""
    return tmp_path_factory.mktemp("phases") / "order"


@pytest.fixture(scope="module")
def cluster(order: Path) -> Iterator[Cluster]:
    own = SETTINGS | environment() | {phases.VARIABLE: str(order), "SENTIMENT_LEASE_S": "5"}
    with running_cluster(order.parent, workers=WORKERS, **own) as cluster:
        await_whole(cluster)
        yield cluster


def score(cluster: Cluster, order: Path, phase: str = "") -> tuple[list[Verdict], int]:
    """Score all texts while a child dies in that phase; return the verdicts and the most attempts."""
    with Sentiq(cluster.url) as client:
        if phase:
            order.write_text(phase, "utf-8")
        job = client.submit(TEXTS)
        assert job.wait(timeout=OVER_S).status == "succeeded"
        # Whoever came to the phase took the order away.
        assert not order.exists()
        items = items_of(client, job.id)
    assert [item["index"] for item in items] == list(range(len(TEXTS)))
    return [(item["label"], item["confidence"]) for item in items], max(item["attempts"] for item in items)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("phase", ATTEMPTS)
def test_a_child_that_is_killed_in_a_phase_of_its_work_loses_no_text(
    cluster: Cluster, order: Path, phase: str
) -> None:
    calm, _ = score(cluster, order)
    for _ in range(KILLS):
        found, attempts = score(cluster, order, phase)
        assert [label for label, _ in found] == [label for label, _ in calm]
        confidences = [confidence for _, confidence in calm]
        assert [confidence for _, confidence in found] == pytest.approx(
            confidences, abs=INT8_TOLERANCE + 1e-3
        )
        assert attempts == ATTEMPTS[phase]
        await_whole(cluster)
