"""Faults that last: Redis stopped or away for minutes, and its disk full, under the load of the campaign.

A fault of a minute is in the campaign too; these are longer, and each is the whole of a test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.disk import lacks_mount
from tests.faults.campaign import Campaign, running_campaign
from tests.faults.plan import Step

# The design asks for 5, 30 and 120 s of a Redis that is stopped.
LONGEST_S = float(os.environ.get("LONGEST_S", "120"))
PAUSE_S = 1.0
SEEDS = count(1)
pytestmark = [pytest.mark.long, pytest.mark.timeout(LONGEST_S + 400)]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with running_campaign(tmp_path_factory.mktemp("long") / "campaign") as campaign:
        yield campaign


def check(campaign: Campaign, kind: str, lasts_s: float) -> None:
    """Break that for so long, under load; what was accepted has its outcome, and every call its answer."""
    # Idempotency keys hold the seed: no two steps may share one.
    result = campaign.run(Step([kind], PAUSE_S, lasts_s, seed=next(SEEDS)))
    print(f"\n{kind} for {lasts_s:.0f} s: {result.items} items, recovered after {result.recovered_s:.1f} s")
    assert result.items, "the load was accepted before or behind it"
    assert list(result.problems) == []


@pytest.mark.parametrize("lasts_s", [5, 30, LONGEST_S])
def test_nothing_is_lost_while_redis_is_stopped_for_minutes(campaign: Campaign, lasts_s: float) -> None:
    check(campaign, "redis_stopped", lasts_s)


def test_nothing_is_lost_while_redis_is_away_for_minutes(campaign: Campaign) -> None:
    check(campaign, "redis_away", LONGEST_S)


@pytest.mark.skipif(bool(lacks_mount()), reason=f"this machine has no {lacks_mount()}")
def test_nothing_is_lost_while_the_disk_of_redis_is_full_for_half_a_minute(campaign: Campaign) -> None:
    check(campaign, "redis_disk_full", 30)
