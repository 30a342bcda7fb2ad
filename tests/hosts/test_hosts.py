"""Three hosts: each is cut off, wires are slow and lossy, and nothing is lost or done twice.

A campaign as in tests/faults, with its load and its checks; only what breaks is another thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.wires import HERE, Wire, Wires, lacking, wired
from tests.faults.campaign import SETTINGS, Campaign
from tests.faults.kinds.kind import Mend
from tests.faults.plan import Step
from tests.hosts.cluster import HOSTS, STORE, WORKERS, HostCluster, running_hosts
from tests.webhooks.receiver import Receiver, receiving

pytestmark = [pytest.mark.skipif(bool(lacking()), reason=lacking()), pytest.mark.timeout(400)]
CUT, SLOW, LOSSY = Wire(cut=True), Wire(delay_s=(0.0, 0.05)), Wire(loss=0.03)
SLOW_AND_LOSSY = Wire(delay_s=(0.0, 0.05), loss=0.03)
# The promise of docs/reliability.md: until a text has its verdict, after the wires are mended.
RECOVERS_S = 30.0
PAUSE_S = 1.0

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Fault:
    """What is done to the wires between pairs of hosts (all, if none are named), and for how long."""

    name: str
    wire: Wire
    pairs: Pairs = ()
    lasts_s: float = 8.0  # longer than a lease


FAULTS = (
    Fault("store_cut_off", CUT, [(STORE, other) for other in (HERE, *WORKERS)]),
    Fault("store_cut_off_from_workers", CUT, [(STORE, worker) for worker in WORKERS]),
    *(Fault(f"{worker}_cut_off", CUT, [(worker, STORE)]) for worker in WORKERS),
    Fault("worker_1_cut_off_for_a_moment", CUT, [("worker_1", STORE)], lasts_s=1.0),
    Fault("wires_slow", SLOW),
    Fault("wires_lossy", LOSSY),
    Fault("wires_slow_and_lossy", SLOW_AND_LOSSY),
)


class HostCampaign(Campaign):
    """A campaign whose faults are those of wires."""

    fault: Fault

    def __init__(self, cluster: HostCluster, receiver: Receiver) -> None:
        super().__init__(cluster, receiver)
        self._wires = cluster.wires

    def _break(self, step: Step) -> Mend:  # noqa: ARG002  it names no fault
        self._wires.set(self.fault.wire, *self.fault.pairs)
        return lambda: self._wires.set(Wire())


@pytest.fixture(scope="module")
def wires() -> Iterator[Wires]:
    with wired(*HOSTS) as wires:
        yield wires


@pytest.fixture(scope="module")
def campaign(wires: Wires, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostCampaign]:
    here = wires.addresses[HERE]
    settings = SETTINGS | {"SENTIMENT_WEBHOOK_ALLOW": here}
    folder: Path = tmp_path_factory.mktemp("hosts")
    with receiving(Receiver(host=here)) as receiver, running_hosts(wires, folder, **settings) as cluster:
        campaign = HostCampaign(cluster, receiver)
        try:
            campaign.settle()
            yield campaign
            assert campaign.finish() == [], "nothing of a deleted job is left"
        finally:
            campaign.close()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_is_lost_or_done_twice(fault: Fault, campaign: HostCampaign, wires: Wires) -> None:
    campaign.fault = fault
    dropped = wires.dropped
    result = campaign.run(Step((), PAUSE_S, fault.lasts_s, seed=FAULTS.index(fault)))
    assert result.problems == []
    assert result.items > 0, "there was load"
    assert wires.dropped > dropped or not (fault.wire.cut or fault.wire.loss), "it was a fault"
    assert result.recovered_s <= RECOVERS_S
